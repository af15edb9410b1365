/** @file The laws of exercise 9. */
import { grad, matmul, mul, sum } from '@blt-ts/autograd';
import { law } from '@blt-ts/autograd/testing';
import { type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

const size = fc.integer({ min: 1, max: 3 });
const matrix = (n: number, m: number) => fc.array(row(m, m), { minLength: n, maxLength: n });
const cases = fc
  .tuple(size, size, size)
  .chain(([n, k, m]) => fc.record({ A: matrix(n, k), B: matrix(k, m), G: matrix(n, m) }));

export const exercise: Exercise<typeof import('../holes/09-matmul.ts')> = {
  laws: ({ matmulGradient }) => [
    law('the gradients are those of the library', cases, 200, ({ A, B, G }) => {
      const f = ([a, b]: Tensor[]) => sum(mul(matmul(a, b), tensor(G)));
      const [wantA, wantB] = grad(f)([tensor(A), tensor(B)]);
      const { dA, dB } = matmulGradient(A, B, G);
      expectNear(dA.flat(), wantA.readSync(), 'dA', 1e-5);
      expectNear(dB.flat(), wantB.readSync(), 'dB', 1e-5);
    }),
  ],
  hints: ['a_ik touches y_i0, y_i1, ..., and y_ij by the factor b_kj.', 'dA = G B^T, and dB = A^T G.'],
};
