/** @file Rows of the library: reductions, products, layers. */
import * as ag from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import {
  type Arr,
  at,
  blank,
  type Expected,
  exact,
  f32,
  indices,
  off,
  plain,
  product,
  range,
  tabulate,
  total,
} from '../../packages/autograd/src/testing/op-row.ts';
import { distinct, floats, ids, nonzero, shapes, someAxes } from '../../packages/autograd/src/testing/op-values.ts';
import { type LibraryRow, row } from './library-row.ts';

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
  const kept = tabulate(
    x.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
    (...index) =>
      f(
        indices(x.shape)
          .filter((own) => own.every((i, axis) => axes.includes(axis) || i === index[axis]))
          .map((own) => at(x, ...own)),
      ),
  );
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

const spread = (xs: readonly number[], correction: number): number => {
  const centre = plain(xs) / xs.length;
  return plain(xs.map((x) => (x - centre) ** 2)) / (xs.length - correction);
};
const squares = (xs: readonly number[]) => plain(xs.map((x) => x * x));

const reductions: Record<string, LibraryRow<never>> = {
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

/** Sum over all names of products of elements. */
function brute(equation: string, xs: readonly Arr[]): Expected {
  const [inputs, output] = equation.split('->');
  const names = [...new Set(inputs.replaceAll(',', ''))];
  const lists = inputs.split(',');
  const size = (name: string) => {
    const which = lists.findIndex((list) => list.includes(name));
    return xs[which].shape[lists[which].indexOf(name)];
  };
  const summed = names.filter((name) => !output.includes(name));
  return tabulate([...output].map(size), (...index) =>
    total(
      indices(summed.map(size)).map((inner) => {
        const place = (name: string) =>
          output.includes(name) ? index[output.indexOf(name)] : inner[summed.indexOf(name)];
        return xs.reduce((p, x, i) => p * at(x, ...[...lists[i]].map(place)), 1);
      }),
    ),
  );
}

const equations = [
  'ij,jk->ik',
  'bij,bkj->bik',
  'i,j->ij',
  'ij->',
  'ii->i',
  'ij,j->i',
  'ij,ij->',
  'abc->cab',
  'ij,jk,kl->il',
  'bhqd,bhkd->bhqk',
  'iij->j',
  'i,i,i->i',
];

const products: Record<string, LibraryRow<never>> = {
  einsum: row<string>({
    cases: (size) =>
      fc
        .tuple(fc.constantFrom(...equations), fc.array(size, { minLength: 8, maxLength: 8 }))
        .chain(([equation, sizes]) => {
          const lists = equation.split('->')[0].split(',');
          const all = [...new Set(lists.join(''))];
          const shape = (list: string) => [...list].map((name) => Math.min(sizes[all.indexOf(name)], 4));
          return fc.record({
            ins: fc.tuple(...lists.map((list) => floats(shape(list)))),
            attrs: fc.constant(equation),
          });
        }),
    define: (xs, equation) => {
      const want = brute(equation, xs);
      // Three factors are rounded one after the other.
      return {
        ...want,
        values: want.values.map(({ value, error }) => off(value, 4 * error + 4 * xs.length * Math.abs(value) + 64)),
      };
    },
    operation: (xs, equation) => ag.einsum(equation, ...xs),
    refusals: [
      { ins: [blank(1)], attrs: 'i,i->i', message: "einsum: 'i,i->i' names 2 operands, got 1" },
      { ins: [blank(1)], attrs: 'i->j', message: "einsum: 'i->j': j must stand once in the result, and in an operand" },
      {
        ins: [blank(1)],
        attrs: 'i-i',
        message: "einsum: 'i-i' is no equation; write 'ij,jk->ik', a letter for each axis",
      },
      { ins: [blank(1, 2)], attrs: 'i->i', message: "einsum: 'i' names 1 axes of operand 0, which is [1,2]" },
      { ins: [blank(2), blank(3)], attrs: 'i,i->i', message: "einsum: axis i of 'i,i->i' has sizes 2 and 3" },
    ],
  }),
  dot: row<null>({
    cases: (size) =>
      size.chain((n) => fc.record({ ins: fc.tuple(floats([n]), floats([n])), attrs: fc.constant(null) })),
    define: ([a, b]) => ({ shape: [], values: [total(a.values.map((v, i) => v * b.values[i]))] }),
    operation: ([a, b]) => ag.dot(a, b),
    refusals: [
      { ins: [blank(2), blank(3)], attrs: null, message: 'dot: a has 2 elements, b has 3' },
      { ins: [blank(2), blank(2, 1)], attrs: null, message: 'dot: a [2] and b [2,1] must have one axis each' },
    ],
  }),
  outer: row<null>({
    cases: (size) =>
      fc
        .tuple(size, size)
        .chain(([n, m]) => fc.record({ ins: fc.tuple(floats([n]), floats([m])), attrs: fc.constant(null) })),
    define: ([a, b]) => tabulate([a.values.length, b.values.length], (i, j) => total([a.values[i] * b.values[j]])),
    operation: ([a, b]) => ag.outer(a, b),
    refusals: [{ ins: [blank(), blank(2)], attrs: null, message: 'outer: a [] and b [2] must have one axis each' }],
  }),
};

const layers: Record<string, LibraryRow<never>> = {
  layerNorm: row<null>({
    cases: (size) =>
      fc
        .tuple(
          size,
          size.map((d) => Math.max(1, d)),
        )
        .chain(([n, C]) =>
          fc.record({ ins: fc.tuple(floats([n, C]), floats([C]), floats([C])), attrs: fc.constant(null) }),
        ),
    define: ([x, w, b]) =>
      tabulate(x.shape, (i, c) => {
        const line = range(x.shape[1]).map((k) => at(x, i, k));
        const deviation = Math.sqrt(spread(line, 0) + 0.01);
        const y = ((at(x, i, c) - plain(line) / line.length) / deviation) * at(w, c);
        return off(
          y + at(b, c),
          ((16 + 4 * line.length) * (1 + Math.abs(at(w, c))) * (1 + squares(line))) / deviation ** 2 + 8,
        );
      }),
    operation: ([x, w, b]) => ag.layerNorm(x, w, b, 0.01),
    refusals: [
      { ins: [blank(2, 3), blank(2), blank(3)], attrs: null, message: 'layerNorm: weight must be [3], got [2]' },
      { ins: [blank(2, 3), blank(3), blank(1, 3)], attrs: null, message: 'layerNorm: bias must be [3], got [1,3]' },
    ],
  }),
};

interface Windows {
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly groups: number;
}

const windowOptions = fc.record({
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.nat({ max: 2 }),
  dilation: fc.integer({ min: 1, max: 2 }),
});

/** x[n, c, ...place - padding], `beyond` outside. */
const element = (x: Arr, n: number, c: number, place: readonly number[], beyond: number): number =>
  place.every((p, i) => p >= 0 && p < x.shape[i + 2]) ? at(x, n, c, ...place) : beyond;

const places = (x: Arr, size: readonly number[], { stride, padding, dilation }: Windows): number[] =>
  size.map((k, i) => Math.floor((x.shape[i + 2] + 2 * padding - dilation * (k - 1) - 1) / stride) + 1);

const convolution = (axes: 1 | 2): LibraryRow<never> =>
  row<Windows>({
    cases: (size) =>
      fc
        .tuple(
          fc.integer({ min: 1, max: 2 }),
          fc.integer({ min: 1, max: 2 }),
          fc.integer({ min: 1, max: 2 }),
          size,
          windowOptions,
        )
        .chain(([N, groups, per, d, window]) => {
          const K = range(axes).map((i) => 1 + ((d + i) % 2));
          // As long as the widest window.
          const sizes = range(axes).map((i) => Math.min(d, 4) + 3 + i);
          return fc.record({
            ins: fc.tuple(floats([N, groups * per, ...sizes]), floats([groups * 2, per, ...K]), floats([groups * 2])),
            attrs: fc.constant({ ...window, groups }),
          });
        }),
    define: ([x, w, b], options) => {
      const { stride, padding, dilation, groups } = options;
      const [O, per, ...K] = w.shape;
      return tabulate([x.shape[0], O, ...places(x, K, options)], (n, o, ...m) => {
        const terms = range(per).flatMap((c) =>
          indices(K).map((k) => {
            const place = m.map((p, i) => p * stride + k[i] * dilation - padding);
            return at(w, o, c, ...k) * element(x, n, Math.floor(o / (O / groups)) * per + c, place, 0);
          }),
        );
        const sum = total(terms);
        return off(sum.value + at(b, o), sum.error + 2 * (Math.abs(sum.value) + Math.abs(at(b, o))));
      });
    },
    operation: ([x, weight, bias], { groups, ...window }) =>
      (axes === 1 ? ag.conv1d : ag.conv2d)(x, weight, { ...window, groups, bias }),
    refusals:
      axes === 2
        ? []
        : [
            {
              ins: [blank(1, 3, 4), blank(2, 2, 1), blank(2)],
              attrs: { stride: 1, padding: 0, dilation: 1, groups: 1 },
              message: 'conv1d: x [1,3,4] and weight [2,2,1] do not fit in 1 groups: 3 channels, 2 a group, 2 results',
            },
            {
              ins: [blank(1, 1, 2), blank(1, 1, 2), blank(1)],
              attrs: { stride: 1, padding: 0, dilation: 2, groups: 1 },
              message: 'conv1d: a window [2] with dilation [2] does not fit into [2]',
            },
            {
              ins: [blank(1, 2), blank(1, 1, 2), blank(1)],
              attrs: { stride: 1, padding: 0, dilation: 1, groups: 1 },
              message: 'conv1d: x must have 3 axes, got [1,2]',
            },
            {
              ins: [blank(1, 1, 2), blank(1, 1, 2), blank(1)],
              attrs: { stride: 0, padding: 0, dilation: 1, groups: 1 },
              message: 'conv1d: stride [0] must be 1 whole numbers, each at least 1',
            },
          ],
  });

const pooling = (axes: 1 | 2, largest: boolean): LibraryRow<never> =>
  row<Windows>({
    cases: (size) =>
      fc.tuple(size, windowOptions).chain(([d, window]) =>
        fc.record({
          ins: fc.tuple(floats([2, 2, ...range(axes).map((i) => Math.min(d, 4) + 3 + i)])),
          attrs: fc.constant({ ...window, padding: Math.min(window.padding, 1), groups: 1 }),
        }),
      ),
    define: ([x], options) => {
      const { stride, padding, dilation } = options;
      const size = range(axes).map(() => 2);
      return tabulate([2, 2, ...places(x, size, options)], (n, c, ...m) => {
        const window = indices(size).map((k) =>
          element(
            x,
            n,
            c,
            m.map((p, i) => p * stride + k[i] * dilation - padding),
            largest ? Number.NEGATIVE_INFINITY : 0,
          ),
        );
        if (largest) return exact([...window].sort((a, b) => b - a)[0]);
        const sum = total(window);
        return off(sum.value / window.length, sum.error);
      });
    },
    operation: ([x], { stride, padding, dilation }) => {
      const pools = largest ? [ag.maxPool1d, ag.maxPool2d] : [ag.avgPool1d, ag.avgPool2d];
      return pools[axes - 1](x, 2, { stride, padding, dilation });
    },
    smooth: largest ? distinct : undefined,
  });

const windows: Record<string, LibraryRow<never>> = {
  conv1d: convolution(1),
  conv2d: convolution(2),
  maxPool1d: pooling(1, true),
  maxPool2d: pooling(2, true),
  avgPool1d: pooling(1, false),
  avgPool2d: pooling(2, false),
};

const made: Record<string, LibraryRow<never>> = {
  ...Object.fromEntries(
    (
      [
        ['tril', ag.tril, 1],
        ['triu', ag.triu, -1],
      ] as const
    ).map(([name, operation, sign]) => [
      name,
      row<number>({
        cases: (size) =>
          shapes(size, 2).chain((shape) =>
            fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.integer({ min: -2, max: 2 }) }),
          ),
        define: ([x], k) =>
          tabulate(x.shape, (...i) => exact(sign * (i[i.length - 1] - i[i.length - 2] - k) <= 0 ? at(x, ...i) : 0)),
        operation: ([x], k) => operation(x, k),
        refusals: [{ ins: [blank(3)], attrs: 0, message: `${name}: x needs at least two axes, got [3]` }],
      }),
    ]),
  ),
  oneHot: row<number>({
    cases: (size) =>
      shapes(size).chain((shape) =>
        fc.record({ ins: fc.tuple(ids(shape, 5, -1)), attrs: fc.integer({ min: 0, max: 4 }) }),
      ),
    define: ([which], classes) =>
      tabulate([...which.shape, classes], (...i) =>
        exact(Number(which.values[product(which.shape) === 0 ? 0 : offset(which, i)] === i[i.length - 1])),
      ),
    operation: ([which], classes) => ag.oneHot(which, classes),
    whole: true,
    refusals: [
      {
        ins: [{ ...f32([1], [0]), dtype: 'i32' }],
        attrs: -1,
        message: 'oneHot: size -1; sizes are whole numbers >= 0',
      },
    ],
  }),
};

/** Place of the element that an index, without its last part, names. */
function offset(x: Arr, index: readonly number[]): number {
  return x.shape.reduce((place, d, axis) => place * d + index[axis], 0);
}

export const libraryReduce: Record<string, LibraryRow<never>> = {
  ...reductions,
  ...products,
  ...layers,
  ...windows,
  ...made,
};
