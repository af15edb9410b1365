/** @file The laws of exercise 4. */
import { law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

const cases = row().chain((x) => fc.tuple(fc.constant(x), fc.nat({ max: x.length - 1 })));

export const exercise: Exercise<typeof import('../holes/04-cross-entropy.ts')> = {
  laws: ({ crossEntropy }) => [
    law('e^-loss is the probability', cases, 100, ([x, target]) => {
      const e = x.map(Math.exp);
      const p = e[target] / e.reduce((a, b) => a + b);
      expectNear([Math.exp(-crossEntropy(x, target))], [p], 'e^-loss');
    }),
    law('a target that is c below the only other logit costs c', fc.integer({ min: 50, max: 5000 }), 50, (c) => {
      expectNear([crossEntropy([0, c], 0)], [c], 'the loss');
    }),
    law('adding 1000 to all logits changes nothing', cases, 50, ([x, target]) => {
      const more = x.map((xi) => xi + 1000);
      expectNear([crossEntropy(more, target)], [crossEntropy(x, target)], 'the loss');
    }),
  ],
  hints: [
    'ln(sum_j e^(x_j)) = m + ln(sum_j e^(x_j - m)), with m the largest logit.',
    'Subtract before you add: m - x_target first.',
  ],
};
