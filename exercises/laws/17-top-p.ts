/** @file The laws of exercise 17. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';

/** Multiples of 1/64, whose sums have no rounding. */
const distribution = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 0, maxLength: 5 }).map((parts) => {
  const rest = 64 - parts.reduce((a, b) => a + b, 0);
  return [...parts, rest].map((part) => part / 64);
});
const cases = fc.tuple(
  distribution,
  fc.integer({ min: 1, max: 64 }).map((i) => i / 64),
);
const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);

export const exercise: Exercise<typeof import('../holes/17-top-p.ts')> = {
  laws: ({ topP }) => [
    law('an id is kept if those before it in falling order hold at most p', cases, 300, ([x, p]) => {
      const before = (id: number) => sum(x.filter((xi, i) => xi > x[id] || (xi === x[id] && i < id)));
      const wanted = [...x.keys()].filter((id) => before(id) <= p);
      expectEqual(topP(x, p), wanted, 'the kept ids');
    }),
  ],
  hints: [
    'Sort the ids by falling probability first, and the kept ids by number last.',
    'The id that crosses p stays.',
  ],
};
