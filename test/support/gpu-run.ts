/** @file Running rows of the op table on a GPU backend, where values are read with `await`. */
import { expectAllWithin, rowOf, runCaseAsync } from '@blt-ts/autograd/testing';
import type { KernelName } from '@blt-ts/tensor';
import fc from 'fast-check';
import { test } from 'vitest';
import type { TestedBackend } from './backends.ts';
import { runs } from './runs.ts';

const seed = process.env.BLT_SEED === undefined ? undefined : Number(process.env.BLT_SEED);

/** A test that a law holds for `n` generated cases. A failure prints its seed; `BLT_SEED=<seed>` replays it. */
export function asyncProperty<T>(law: string, cases: fc.Arbitrary<T>, n: number, check: (x: T) => Promise<void>): void {
  test(law, () => fc.assert(fc.asyncProperty(cases, check), { numRuns: runs(n), seed }));
}

/** A test that a kernel equals its definition on `n` generated cases. */
export function definedProperty(
  kernel: KernelName,
  tested: TestedBackend,
  size: fc.Arbitrary<number>,
  n: number,
): void {
  const row = rowOf(kernel);
  asyncProperty(kernel, row.cases(size), n, async (c) => {
    expectAllWithin(kernel, await runCaseAsync(kernel, c, tested.backend), row.define(c.ins, c.attrs), tested);
  });
}
