/** @file The steps that fit into a time, at its limits. */
import { planRun } from '@blt-ts/blt';
import { expect, test } from 'vitest';
import { ratesByFormula } from '../../../packages/cli/src/training/forecast.ts';
import { fitOf } from '../../../packages/cli/src/training/steps-in-time.ts';

const plan = planRun({ size: 'nano' }, 1_000_000);
const rates = ratesByFormula(plan, 40);
const fitted = (minutes: number, warn = (_: string) => {}) =>
  fitOf({ data: { trainBytes: 900_000, heldOutBytes: 100_000 }, minutes, memory: false, warn }, plan, rates, false);

test.each([Number.MIN_VALUE, 1e-300, 0.001])('--minutes %d is refused with a time that is enough', (minutes) => {
  expect(() => fitted(minutes)).toThrow(
    /^--minutes .* is too short for a single step: .*; give --minutes \d+(\.\d)?, in/,
  );
});
