/** @file Rows of the library: reductions. */
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import { spread, squares } from './library-numbers.ts';
import { type LibraryRow, row } from './library-row.ts';
import { type Arr, blank, type Expected, exact, off, plain, range, reduceBy, total } from './op-row.ts';
import { distinct, floats, nonzero, shapes, someAxes } from './op-values.ts';

interface Over {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** The elements of x that one element of the result is made of. */
const reduced = (
  x: Arr,
  { axes, keepDims }: Over,
  f: (elements: number[]) => { value: number; error: number },
): Expected => {
  const kept = reduceBy(x, axes, f);
  return keepDims ? kept : { ...kept, shape: x.shape.filter((_, i) => !axes.includes(i)) };
};

const reduction = (
  name: string,
  operation: (x: Tensor, over: Over) => Tensor,
  f: (elements: number[]) => { value: number; error: number },
  options: { least?: number; value?: fc.Arbitrary<number>; smooth?: LibraryRow<Over>['smooth'] } = {},
): LibraryRow<never> =>
  row<Over>({
    cases: (size) =>
      shapes(
        size.map((d) => Math.max(Math.min(d, 6), options.least ?? 0)),
        options.least ? 1 : 0,
      ).chain((shape) =>
        fc.record({
          ins: fc.tuple(floats(shape, options.value)),
          attrs: fc.record({
            // At least so many elements in each result.
            axes: someAxes(shape.length).map((axes) => (axes.length === 0 && options.least ? [0] : axes)),
            keepDims: fc.boolean(),
          }),
        }),
      ),
    define: ([x], over) => reduced(x, over, f),
    operation: ([x], over) => operation(x, over),
    smooth: options.smooth,
    refusals: [
      {
        ins: [blank(2, 3)],
        attrs: { axes: [2], keepDims: false },
        message: `${name}: axis 2 is out of range for rank 2; use -2..1`,
      },
    ],
  });

export const libraryReduce: Record<string, LibraryRow<never>> = {
  min: reduction('min', ag.min, (xs) => exact([...xs].sort((a, b) => a - b)[0]), {
    least: 1,
    smooth: distinct,
  }),
  prod: reduction('prod', ag.prod, (xs) => {
    const value = xs.reduce((a, b) => a * b, 1);
    return off(value, 2 * xs.length * Math.abs(value));
  }),
  variance: reduction('variance', ag.variance, (xs) => off(spread(xs, 1), (8 + 4 * xs.length) * (1 + squares(xs))), {
    least: 2,
  }),
  'variance without correction': reduction(
    'variance',
    (x, over) => ag.variance(x, { ...over, correction: 0 }),
    (xs) => off(spread(xs, 0), (8 + 4 * xs.length) * (1 + squares(xs))),
    { least: 1 },
  ),
  std: reduction(
    'std',
    ag.std,
    (xs) =>
      off(Math.sqrt(spread(xs, 1)), ((8 + 4 * xs.length) * (1 + squares(xs))) / Math.sqrt(spread(xs, 1) || 1e-12)),
    {
      least: 2,
      smooth: distinct,
    },
  ),
  norm: reduction('norm', ag.norm, (xs) => off(Math.hypot(...xs), (2 + xs.length) * Math.hypot(...xs)), {
    least: 1,
    value: nonzero,
  }),
  'norm, the sum': reduction(
    'norm',
    (x, over) => ag.norm(x, { ...over, ord: 1 }),
    (xs) => total(xs.map((x) => (x < 0 ? -x : x))),
    { smooth: distinct },
  ),
  'norm, the largest': reduction(
    'norm',
    (x, over) => ag.norm(x, { ...over, ord: Number.POSITIVE_INFINITY }),
    (xs) => exact(xs.map(Math.abs).sort((a, b) => b - a)[0]),
    {
      least: 1,
      smooth: distinct,
    },
  ),
  logsumexp: reduction('logsumexp', ag.logsumexp, (xs) => off(Math.log(plain(xs.map(Math.exp))), 24 + 4 * xs.length), {
    least: 1,
    smooth: distinct,
  }),
  all: reduction('all', ag.all, (xs) => exact(Number(!xs.includes(0) && !xs.includes(-0))), { smooth: distinct }),
  any: reduction('any', ag.any, (xs) => exact(Number(xs.some((x) => x !== 0))), { smooth: distinct }),
  ...Object.fromEntries(
    (
      [
        ['argmax', ag.argmax, 1],
        ['argmin', ag.argmin, -1],
      ] as const
    ).map(([name, operation, sign]) => [
      name,
      row<{ axis?: number; keepDims: boolean }>({
        cases: (size) =>
          shapes(
            size.map((d) => Math.max(1, d)),
            1,
          ).chain((shape) =>
            fc.record({
              ins: fc.tuple(floats(shape)),
              attrs: fc.record({
                axis: fc.option(fc.nat({ max: shape.length - 1 }), { nil: undefined }),
                keepDims: fc.boolean(),
              }),
            }),
          ),
        define: ([x], { axis, keepDims }) =>
          reduced(x, { axes: axis === undefined ? range(x.shape.length) : [axis], keepDims }, (xs) =>
            exact(xs.findIndex((v) => xs.every((w) => sign * v >= sign * w))),
          ),
        operation: ([x], options) => operation(x, options),
        whole: true,
        dtype: 'i32',
        refusals: [
          {
            ins: [blank(2, 0)],
            attrs: { axis: 1, keepDims: false },
            message: `${name}: axis 1 of [2,0] has no elements`,
          },
          {
            ins: [blank(2, 1)],
            attrs: { axis: 2, keepDims: false },
            message: `${name}: axis 2 is out of range for rank 2; use -2..1`,
          },
        ],
      }),
    ]),
  ),
};
