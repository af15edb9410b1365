/** @file The laws of exercise 3. */
import { law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

export const exercise: Exercise<typeof import('../holes/03-softmax.ts')> = {
  laws: ({ softmax }) => [
    law('probabilities sum to 1', row(), 100, (x) => {
      expectNear([softmax(x).reduce((a, b) => a + b)], [1], 'the sum');
    }),
    law('p_i / p_j = e^(x_i - x_j)', row(), 100, (x) => {
      const p = softmax(x);
      expectNear(
        p.map((pi) => pi / p[0]),
        x.map((xi) => Math.exp(xi - x[0])),
        'p / p[0]',
      );
    }),
    law(
      'adding a number to all logits changes nothing',
      fc.tuple(row(), fc.constantFrom(1000, -1000)),
      100,
      ([x, c]) => {
        expectNear(softmax(x.map((xi) => xi + c)), softmax(x), 'p');
      },
    ),
  ],
  hints: [
    'A factor in front of numerator and denominator cancels: e^(x_i - c) / sum_j e^(x_j - c) is the same for every c.',
    'Choose c so that the largest exponent is 0.',
  ],
};
