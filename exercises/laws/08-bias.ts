/** @file The laws of exercise 8. */
import { add, grad, mul, sum } from '@blt-ts/autograd';
import { law } from '@blt-ts/autograd/testing';
import { type Tensor, tensor, zeros } from '@blt-ts/tensor';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, matrix } from './draw.ts';

const size = fc.integer({ min: 1, max: 4 });
const cases = fc.tuple(size, size).chain(([n, c]) => fc.record({ g: matrix(n, c), columns: fc.constant(c) }));

export const exercise: Exercise<typeof import('../holes/08-bias.ts')> = {
  laws: ({ biasGradient }) => [
    law('the gradient is that of the library', cases, 200, ({ g, columns }) => {
      const G = tensor(g, [g.length / columns, columns]);
      const wanted = grad((b: Tensor) => sum(mul(add(zeros(G.shape), b), G)))(zeros([columns]));
      expectNear(biasGradient(g, columns), wanted.readSync(), 'db', 1e-6);
    }),
  ],
  hints: ['Value `at` of g stands in column at % columns.', 'Add up each column.'],
};
