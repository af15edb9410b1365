/** @file The laws of exercise 5. */
import { law } from '@blt-ts/autograd/testing';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { distribution, expectNear } from './draw.ts';

export const exercise: Exercise<typeof import('../holes/05-entropy.ts')> = {
  laws: ({ entropy }) => [
    law('a blind guess among n has ln n', fc.integer({ min: 1, max: 300 }), 50, (n) => {
      expectNear([entropy(Array(n).fill(1 / n))], [Math.log(n)], 'H');
    }),
    law('an outcome that cannot happen adds nothing', distribution, 50, (p) => {
      expectNear([entropy([...p, 0])], [entropy(p)], 'H');
    }),
    law('a fair coin beside it adds ln 2', distribution, 100, (p) => {
      const both = [...p, ...p].map((pi) => pi / 2);
      expectNear([entropy(both)], [entropy(p) + Math.LN2], 'H');
    }),
  ],
  hints: ['In JavaScript 0 * Math.log(0) is NaN, but p ln p goes to 0 with p.'],
};
