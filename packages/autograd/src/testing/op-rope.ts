/** @file Op rows: rotary position embedding. */

import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import { at, blank, i32, magnitude, type OpRows, off, plain, tabulate } from './op-row.ts';
import { floats, ids } from './op-values.ts';

const ropeCases = (size: fc.Arbitrary<number>) =>
  fc
    .record({
      n: size,
      heads: fc.nat({ max: 3 }),
      headDim: fc.constantFrom(2, 4, 6),
      positions: fc.integer({ min: 1, max: 5 }),
    })
    .chain(({ n, heads, headDim, positions }) =>
      fc.record({
        ins: fc.tuple(
          floats([n, heads * headDim]),
          floats([positions, headDim / 2]),
          floats([positions, headDim / 2]),
          ids([n], positions),
        ),
        attrs: fc.record({ headDim: fc.constant(headDim), inverse: fc.boolean() }),
      }),
    );

/** rope out of primitive operations: even and odd columns apart, turned, and put back side by side. */
function ropeOfSlices(
  x: Tensor,
  cos: Tensor,
  sin: Tensor,
  positions: Tensor,
  attrs: { headDim: number; inverse: boolean },
): Tensor {
  const [n, width] = x.shape;
  const pairs = ag.reshape(x, [n, width / attrs.headDim, attrs.headDim / 2, 2]);
  const [a, b] = [0, 1].map((side) => ag.slice(pairs, [0, 0, 0, side], [...pairs.shape.slice(0, 3), side + 1]));
  const angles = (table: Tensor) => ag.reshape(ag.gatherRows(table, positions), [n, 1, attrs.headDim / 2, 1]);
  const c = angles(cos);
  const s = attrs.inverse ? ag.neg(angles(sin)) : angles(sin);
  const turned = [ag.sub(ag.mul(a, c), ag.mul(b, s)), ag.add(ag.mul(a, s), ag.mul(b, c))];
  return ag.reshape(ag.concat(turned, 3), [n, width]);
}

export const ropeOps: OpRows<'rope'> = {
  rope: {
    cases: ropeCases,
    // Pair j of a head, as a complex number a + ib, times cos + i sin (or its conjugate).
    define: ([x, cos, sin, positions], { headDim, inverse }) => [
      tabulate(x.shape, (i, c) => {
        const pair = Math.floor((c % headDim) / 2);
        const [re, im] = [at(x, i, c - (c % 2)), at(x, i, c - (c % 2) + 1)];
        const [a, b] = [at(cos, at(positions, i), pair), (inverse ? -1 : 1) * at(sin, at(positions, i), pair)];
        const terms = c % 2 === 0 ? [re * a, -im * b] : [re * b, im * a];
        return off(plain(terms), 2 * magnitude(terms));
      }),
    ],
    gradient: {
      operation: ([x, cos, sin, positions], { headDim, inverse }) =>
        ag.rope(x, { cos, sin }, positions, headDim, inverse),
      composed: ([x, cos, sin, positions], attrs) => ropeOfSlices(x, cos, sin, positions, attrs),
      constants: [1, 2],
    },
    refusals: [
      {
        ins: [blank(4), blank(1, 1), blank(1, 1), i32([0])],
        attrs: { headDim: 2, inverse: false },
        message: 'rope: x must have 2 axes, got [4]',
      },
      {
        ins: [blank(1, 4), blank(1, 1), blank(1, 1), i32([0])],
        attrs: { headDim: 3, inverse: false },
        message: 'rope: head dim 3 must be even and divide the width 4',
      },
      {
        ins: [blank(1, 6), blank(1, 2), blank(1, 2), i32([0])],
        attrs: { headDim: 4, inverse: false },
        message: 'rope: head dim 4 must be even and divide the width 6',
      },
      {
        ins: [blank(1, 4), blank(1, 1), blank(1, 1), i32([0])],
        attrs: { headDim: 0, inverse: false },
        message: 'rope: head dim 0 must be even and divide the width 4',
      },
      {
        ins: [blank(1, 4), blank(5, 1), blank(5, 1), i32([0])],
        attrs: { headDim: 4, inverse: false },
        message: 'rope: cos must be [5,2], got [5,1]',
      },
      {
        ins: [blank(1, 4), blank(5, 2), blank(4, 2), i32([0])],
        attrs: { headDim: 4, inverse: false },
        message: 'rope: sin must be [5,2], got [4,2]',
      },
      {
        ins: [blank(1, 4), blank(5, 2), blank(5, 2), i32([0, 0])],
        attrs: { headDim: 4, inverse: false },
        message: 'rope: positions must be [1], got [2]',
      },
    ],
  },
};
