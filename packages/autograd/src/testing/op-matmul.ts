/** @file Op rows: matrix products. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { type Arr, at, blank, type OpRows, range, tabulate, total } from './op-row.ts';
import { floats } from './op-values.ts';

/** Row i, column j of a matrix in the last two axes, which may be stored transposed. */
const element = (x: Arr, transposed: boolean, lead: number[], i: number, j: number): number =>
  transposed ? at(x, ...lead, j, i) : at(x, ...lead, i, j);

const matmulCases = (size: fc.Arbitrary<number>) =>
  fc
    .record({
      lead: fc.array(fc.nat({ max: 2 }), { maxLength: 2 }),
      M: size,
      K: size,
      N: size,
      attrs: fc.record({ transposeA: fc.boolean(), transposeB: fc.boolean() }),
    })
    .chain(({ lead, M, K, N, attrs }) =>
      fc.record({
        ins: fc.tuple(
          floats([...lead, ...(attrs.transposeA ? [K, M] : [M, K])]),
          floats([...lead, ...(attrs.transposeB ? [N, K] : [K, N])]),
        ),
        attrs: fc.constant(attrs),
      }),
    );

const plainMatrices = { transposeA: false, transposeB: false };

export const matmulOps: OpRows<'matmul'> = {
  matmul: {
    cases: matmulCases,
    define: ([a, b], { transposeA, transposeB }) => {
      const lead = a.shape.slice(0, -2);
      const [M, K] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : a.shape.slice(-2);
      const N = transposeB ? b.shape.at(-2)! : b.shape.at(-1)!;
      return [
        tabulate([...lead, M, N], (...index) => {
          const [i, j] = index.slice(-2);
          const matrix = index.slice(0, -2);
          return total(
            range(K).map((l) => element(a, transposeA, matrix, i, l) * element(b, transposeB, matrix, l, j)),
          );
        }),
      ];
    },
    gradient: { operation: ([a, b], attrs) => ag.matmul(a, b, attrs) },
    refusals: [
      {
        ins: [blank(2, 3), blank(4, 5)],
        attrs: plainMatrices,
        message: 'matmul: inner sizes differ, a [2,3] x b [4,5]: 3 != 4',
      },
      {
        ins: [blank(2, 3), blank(3, 5)],
        attrs: { transposeA: true, transposeB: false },
        message: 'matmul: inner sizes differ, a [2,3]^T x b [3,5]: 2 != 3',
      },
      {
        ins: [blank(2, 3), blank(3, 5)],
        attrs: { transposeA: false, transposeB: true },
        message: 'matmul: inner sizes differ, a [2,3] x b [3,5]^T: 3 != 5',
      },
      {
        ins: [blank(3), blank(3, 5)],
        attrs: plainMatrices,
        message: 'matmul: needs matrices, got a [3] and b [3,5]; reshape a vector to [n,1] or [1,n]',
      },
      {
        ins: [blank(3, 5), blank(5)],
        attrs: plainMatrices,
        message: 'matmul: needs matrices, got a [3,5] and b [5]; reshape a vector to [n,1] or [1,n]',
      },
      {
        ins: [blank(2, 2, 3), blank(4, 3, 5)],
        attrs: plainMatrices,
        message: 'matmul: leading axes differ, a [2,2,3] x b [4,3,5]',
      },
    ],
  },
};
