/** @file The laws of exercise 19. */
import { law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, value } from './draw.ts';

/** Scores up to 1000, so that e^score overflows unless it is taken relative to the largest. */
const score = fc.oneof(value, fc.integer({ min: -1000, max: 1000 }));
const cases = fc.array(fc.tuple(score, value), { maxLength: 6 });

/** Scores that can be read once. */
function* once(scores: readonly number[]): Generator<number> {
  yield* scores;
}

export const exercise: Exercise<typeof import('../holes/19-attention.ts')> = {
  laws: ({ attend }) => [
    law('the result is the mean of the values with the softmax as weights', cases, 300, (pairs) => {
      const scores = pairs.map(([s]) => s);
      const e = scores.map((s) => Math.exp(s - Math.max(...scores)));
      const total = e.reduce((a, b) => a + b, 0);
      const wanted = pairs.reduce((sum, [, v], j) => sum + (e[j] / total) * v, 0);
      const got = attend(
        once(scores),
        pairs.map(([, v]) => v),
      );
      expectNear([got], [wanted], 'the result', 1e-9);
    }),
  ],
  hints: [
    'Keep three numbers: the largest score, the sum of e^(s - largest), and the sum of e^(s - largest) * value.',
    'When the largest rises from a to b, multiply both sums by e^(a - b).',
  ],
};
