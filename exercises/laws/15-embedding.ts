/** @file The laws of exercise 15. */
import { gatherRows, grad, mul, sum } from '@blt-ts/autograd';
import { law } from '@blt-ts/autograd/testing';
import { type Tensor, tensor, zeros } from '@blt-ts/tensor';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

const cases = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 5 }))
  .chain(([rows, C, n]) =>
    fc.record({
      g: fc.array(row(C, C), { minLength: n, maxLength: n }),
      ids: fc.array(fc.nat({ max: rows - 1 }), { minLength: n, maxLength: n }),
      rows: fc.constant(rows),
    }),
  );

export const exercise: Exercise<typeof import('../holes/15-embedding.ts')> = {
  laws: ({ lookupGradient }) => [
    law('the gradient is that of the library', cases, 200, ({ g, ids, rows }) => {
      const f = (T: Tensor) => sum(mul(gatherRows(T, tensor(Int32Array.from(ids))), tensor(g)));
      const wanted = grad(f)(zeros([rows, g[0].length])).readSync();
      expectNear(lookupGradient(g, ids, rows).flat(), wanted, 'dT', 1e-6);
    }),
  ],
  hints: ['Begin with zeros, and add row i of g to row ids[i].'],
};
