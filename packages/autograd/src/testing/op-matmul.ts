/** @file Op rows: matrix products. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { type Arr, blank, type OpRows, product, range, rowsOf, total } from './op-row.ts';
import { floats } from './op-values.ts';

/** The matrices in the last two axes of x, each as its rows, or as its columns. */
function lines(x: Arr, columns: boolean): number[][][] {
  const [m, n] = x.shape.slice(-2);
  const rows = rowsOf(x);
  return range(product(x.shape.slice(0, -2))).map((which) => {
    const own = rows.slice(which * m, (which + 1) * m);
    return columns ? range(n).map((j) => own.map((row) => row[j])) : own;
  });
}

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
      const M = a.shape.at(transposeA ? -1 : -2)!;
      const N = b.shape.at(transposeB ? -2 : -1)!;
      const columns = lines(b, !transposeB);
      const values = lines(a, transposeA).flatMap((rows, which) =>
        rows.flatMap((row) => columns[which].map((column) => total(row.map((v, l) => v * column[l])))),
      );
      return [{ shape: [...a.shape.slice(0, -2), M, N], values }];
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
