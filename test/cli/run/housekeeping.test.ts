import { expect, test } from 'vitest';
import { housekeepingOf } from '../../../packages/cli/src/run/housekeeping.ts';

test('what is not given stays as it was chosen before', () => {
  const before = { minutes: 3, saveEvery: 5, sampleEvery: 7, keepLast: 2, tensorboard: true, memory: false };
  expect(housekeepingOf(before, {}, {})).toEqual(before);
  expect(housekeepingOf(before, { train: { save_every: 0 } }, { tensorboard: false })).toEqual({
    ...before,
    saveEvery: 0,
  });
  expect(housekeepingOf(before, { train: { memory: 'on' } }, {})).toEqual({ ...before, memory: true });
});
