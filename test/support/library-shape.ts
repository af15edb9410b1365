/** @file Rows of the library: axes, parts, order, positions. */
import * as ag from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import {
  type Arr,
  at,
  blank,
  type Expected,
  exact,
  i32,
  product,
  range,
  tabulate,
  total,
} from '../../packages/autograd/src/testing/op-row.ts';
import { distinct, floats, ids } from '../../packages/autograd/src/testing/op-values.ts';
import { type LibraryRow, row } from './library-row.ts';

/** x of three axes, and attributes. */
const ofBlock = <A>(
  attrs: fc.Arbitrary<A> | ((shape: readonly number[]) => fc.Arbitrary<A>),
  define: (x: Arr, attrs: A) => Expected,
  operation: (x: Tensor, attrs: A) => Tensor,
  options: Partial<LibraryRow<A>> = {},
): LibraryRow<never> =>
  row<A>({
    cases: (size) =>
      fc.tuple(size, size, size).chain((sizes) => {
        const shape = sizes.map((d) => Math.min(d, 5));
        return fc.record({ ins: fc.tuple(floats(shape)), attrs: typeof attrs === 'function' ? attrs(shape) : attrs });
      }),
    define: ([x], a) => define(x, a),
    operation: ([x], a) => operation(x, a),
    ...options,
  });

const axisOf = fc.constantFrom<number>(0, 1, 2, -1, -2, -3);
const whole = (axis: number, rank = 3): number => (axis < 0 ? axis + rank : axis);
const replaced = (xs: readonly number[], at: number, value: number): number[] =>
  xs.map((x, i) => (i === at ? value : x));

/** The elements of x along an axis, at the place of `index`. */
const line = (x: Arr, axis: number, index: readonly number[]): number[] =>
  range(x.shape[axis]).map((l) => at(x, ...replaced(index, axis, l)));

const outOfRange = (op: string, rank = 3) =>
  `${op}: axis 3 is out of range for rank ${rank}; use ${-rank}..${rank - 1}`;
const axisRefusal = (op: string) => ({ ins: [blank(1, 2, 1)], attrs: 3 as number, message: outOfRange(op) });

/** A Python slice of 0..n-1, by walking. */
function sliced(n: number, start: number | undefined, stop: number | undefined, step: number): number[] {
  const found: number[] = [];
  const clamp = (v: number, low: number, high: number) => Math.max(low, Math.min(high, v < 0 ? v + n : v));
  if (step > 0) for (let i = clamp(start ?? 0, 0, n); i < clamp(stop ?? n, 0, n); i += step) found.push(i);
  else
    for (
      let i = start === undefined ? n - 1 : clamp(start, -1, n - 1);
      i > (stop === undefined ? -1 : clamp(stop, -1, n - 1));
      i += step
    )
      found.push(i);
  return found;
}

const bound = fc.option(fc.integer({ min: -7, max: 7 }), { nil: undefined });
const step = fc.constantFrom<number>(1, 2, 3, -1, -2);
/** Two bounds and a step. */
type Bounds = [start: number | undefined, stop: number | undefined, step: number];

/** The same elements in the same order under another shape. */
const reshaped = <A>(
  attrs: fc.Arbitrary<A>,
  shape: (shape: readonly number[], attrs: A) => readonly number[],
  operation: (x: Tensor, attrs: A) => Tensor,
  refusals: LibraryRow<A>['refusals'] = [],
) => ofBlock(attrs, (x, a) => ({ shape: shape(x.shape, a), values: x.values.map(exact) }), operation, { refusals });

const parts: Record<string, LibraryRow<never>> = {
  squeeze: row<number>({
    cases: (size) =>
      size.chain((n) => fc.record({ ins: fc.tuple(floats([1, Math.min(n, 5), 1])), attrs: fc.constantFrom(0, -1, 2) })),
    define: ([x], axis) => ({ shape: x.shape.filter((_, i) => i !== whole(axis)), values: x.values.map(exact) }),
    operation: ([x], axis) => ag.squeeze(x, axis),
    refusals: [
      { ins: [blank(2, 3, 1)], attrs: 0, message: 'squeeze: axis 0 of [2,3,1] has size 2, not 1' },
      axisRefusal('squeeze'),
    ],
  }),
  unsqueeze: reshaped(
    fc.constantFrom<number>(0, 1, 3, -1, -4),
    ([a, b, c], axis) => [[1, a, b, c], [a, 1, b, c], [], [a, b, c, 1]][whole(axis, 4)],
    (x, axis) => ag.unsqueeze(x, axis),
    [{ ins: [blank(1, 1, 1)], attrs: 4, message: 'unsqueeze: axis 4 is out of range for rank 4; use -4..3' }],
  ),
  flatten: reshaped(
    fc.constantFrom<number[]>([0, -1], [1, 2], [0, 1]),
    ([a, b, c], [from, to]) => (to === -1 ? [a * b * c] : from === 1 ? [a, b * c] : [a * b, c]),
    (x, [from, to]) => ag.flatten(x, from, to),
    [{ ins: [blank(1, 1, 1)], attrs: [3, -1], message: outOfRange('flatten') }],
  ),
  moveaxis: ofBlock(
    fc.tuple(axisOf, axisOf),
    (x, [from, to]) => {
      const order = range(3).filter((i) => i !== whole(from));
      order.splice(whole(to), 0, whole(from));
      return tabulate(
        order.map((i) => x.shape[i]),
        (...i) => exact(at(x, ...range(3).map((axis) => i[order.indexOf(axis)]))),
      );
    },
    (x, [from, to]) => ag.moveaxis(x, from, to),
    { refusals: [{ ins: [blank(1, 1, 1)], attrs: [0, 3], message: outOfRange('moveaxis') }] },
  ),
  swapaxes: ofBlock(
    fc.tuple(axisOf, axisOf),
    (x, axes) => {
      const [a, b] = axes.map((axis) => whole(axis));
      const swap = (xs: readonly number[]) => xs.map((_, i) => xs[i === a ? b : i === b ? a : i]);
      return tabulate(swap(x.shape), (...i) => exact(at(x, ...swap(i))));
    },
    (x, [a, b]) => ag.swapaxes(x, a, b),
    { refusals: [{ ins: [blank(1, 1, 1)], attrs: [3, 0], message: outOfRange('swapaxes') }] },
  ),
  stack: ofBlock(
    fc.constantFrom<number>(0, 1, 2, 3, -1),
    (x, axis) => {
      const place = whole(axis, 4);
      const shape = [...x.shape.slice(0, place), 2, ...x.shape.slice(place)];
      return tabulate(shape, (...i) => exact((i[place] === 0 ? 1 : -1) * at(x, ...i.filter((_, k) => k !== place))));
    },
    (x, axis) => ag.stack([x, ag.neg(x)], axis),
    { refusals: [{ ins: [blank(1, 1, 1)], attrs: 4, message: 'stack: axis 4 is out of range for rank 4; use -4..3' }] },
  ),
  'split, by sizes': ofBlock(
    (shape) => fc.nat({ max: shape[1] }),
    (x, first) => tabulate([x.shape[0], x.shape[1] - first, x.shape[2]], (a, b, c) => exact(at(x, a, b + first, c))),
    (x, first) => ag.split(x, [first, x.shape[1] - first], 1)[1],
    {
      refusals: [
        { ins: [blank(1, 2, 1)], attrs: 3, message: 'split: axis 1 of [1,2,1] cannot be cut into parts of [3,-1]' },
      ],
    },
  ),
  'split, into equal parts': row<number>({
    cases: (size) =>
      size.chain((n) => fc.record({ ins: fc.tuple(floats([6, Math.min(n, 5)])), attrs: fc.constantFrom(1, 2, 3, 6) })),
    define: ([x], n) => tabulate([6 / n, x.shape[1]], (a, b) => exact(at(x, a + 6 - 6 / n, b))),
    operation: ([x], n) => ag.split(x, n)[n - 1],
    refusals: [{ ins: [blank(6, 1)], attrs: 4, message: 'split: axis 0 of [6,1] cannot be cut into 4 equal parts' }],
  }),
  flip: ofBlock(
    fc.subarray(range(3)),
    (x, axes) =>
      tabulate(x.shape, (...i) =>
        exact(at(x, ...i.map((k, axis) => (axes.includes(axis) ? x.shape[axis] - 1 - k : k)))),
      ),
    (x, axes) => ag.flip(x, axes),
    { refusals: [{ ins: [blank(1, 1, 1)], attrs: [3], message: outOfRange('flip') }] },
  ),
  tile: ofBlock(
    fc.tuple(...range(3).map(() => fc.nat({ max: 3 }))),
    (x, n) =>
      tabulate(
        x.shape.map((d, i) => d * n[i]),
        (...i) => exact(at(x, ...i.map((k, axis) => k % x.shape[axis]))),
      ),
    (x, n) => ag.tile(x, n),
    {
      refusals: [
        { ins: [blank(1, 1, 1)], attrs: [2], message: 'tile: 1 repetitions for the 3 axes of [1,1,1]' },
        { ins: [blank(1, 1, 1)], attrs: [1, -1, 1], message: 'tile: -1 repetitions; give a whole number >= 0' },
      ],
    },
  ),
  repeat: ofBlock(
    fc.tuple(fc.nat({ max: 3 }), axisOf),
    (x, [n, axis]) =>
      tabulate(replaced(x.shape, whole(axis), x.shape[whole(axis)] * n), (...i) =>
        exact(at(x, ...replaced(i, whole(axis), Math.floor(i[whole(axis)] / n)))),
      ),
    (x, [n, axis]) => ag.repeat(x, n, axis),
    {
      refusals: [
        { ins: [blank(1, 1, 1)], attrs: [0.5, 0], message: 'repeat: 0.5 repetitions; give a whole number >= 0' },
      ],
    },
  ),
  stridedSlice: ofBlock(
    fc.array(fc.tuple(bound, bound, step) as fc.Arbitrary<Bounds>, { minLength: 1, maxLength: 3 }),
    (x, bounds) => {
      const chosen = x.shape.map((n, i) => (bounds[i] ? sliced(n, ...bounds[i]) : range(n)));
      return tabulate(
        chosen.map((c) => c.length),
        (...i) => exact(at(x, ...i.map((k, axis) => chosen[axis][k]))),
      );
    },
    (x, bounds) =>
      ag.stridedSlice(
        x,
        bounds.map(([b]) => b),
        bounds.map(([, e]) => e),
        bounds.map(([, , s]) => s),
      ),
    {
      refusals: [
        { ins: [blank(1, 1, 1)], attrs: [[0, 1, 0]], message: 'stridedSlice: stride 0; give a whole number, not 0' },
        {
          ins: [blank(1, 1)],
          attrs: range(3).map((): Bounds => [0, 1, 1]),
          message: 'stridedSlice: 3 bounds for the 2 axes of [1,1]',
        },
      ],
    },
  ),
  'at, a number and a range': ofBlock(
    fc.tuple(bound, bound, step),
    (x, [start, stop, by]) => {
      const chosen = sliced(x.shape[1], start, stop, by);
      return tabulate([chosen.length, 1, x.shape[2]], (b, _, c) =>
        exact(x.shape[0] === 0 ? 0 : at(x, x.shape[0] - 1, chosen[b], c)),
      );
    },
    (x, [start, stop, by]) => {
      // Without rows there is none to take.
      const rows = x.shape[0] === 0 ? ag.pad(x, [1, 0, 0], [0, 0, 0]) : x;
      return ag.at(rows, -1, `${start ?? ''}:${stop ?? ''}:${by}`, null);
    },
    {},
  ),
  'at, ids and dots': row<null>({
    cases: (size) =>
      size.chain((n) =>
        fc.record({ ins: fc.tuple(floats([Math.min(n, 5), 3, 2]), ids([2, 2], 3)), attrs: fc.constant(null) }),
      ),
    define: ([x, which]) => tabulate([x.shape[0], 2, 2], (a, b, c) => exact(at(x, a, at(which, b, c), 1))),
    operation: ([x, which]) => ag.at(x, '...', which, 1),
  }),
  ...Object.fromEntries(
    (['reflect', 'edge', 'constant'] as const).map((mode) => [
      `pad, ${mode}`,
      ofBlock(
        fc.record({
          before: fc.array(fc.nat({ max: 3 }), { minLength: 3, maxLength: 3 }),
          after: fc.array(fc.nat({ max: 3 }), { minLength: 3, maxLength: 3 }),
        }),
        (x, { before, after }) => {
          const d = x.shape.map((n) => Math.max(n, 1));
          // Back and forth, step by step.
          const mirrored = (i: number, n: number): number =>
            n === 1 ? 0 : i < 0 ? mirrored(-i, n) : i >= n ? mirrored(2 * n - 2 - i, n) : i;
          return tabulate(
            d.map((n, i) => before[i] + n + after[i]),
            (...index) => {
              const own = index.map((i, axis) => i - before[axis]);
              const inside = own.every((i, axis) => i >= 0 && i < d[axis]);
              if (mode === 'constant' && !inside) return exact(-2.5);
              const place = own.map((i, axis) =>
                mode === 'reflect' ? mirrored(i, d[axis]) : Math.max(0, Math.min(d[axis] - 1, i)),
              );
              return exact(product(x.shape) === 0 ? 0 : at(x, ...place));
            },
          );
        },
        (x, { before, after }) => {
          // An axis without elements has none to repeat.
          const full = ag.pad(
            x,
            [0, 0, 0],
            x.shape.map((n) => Number(n === 0)),
          );
          return ag.pad(full, before, after, mode === 'constant' ? { value: -2.5 } : { mode });
        },
        {
          refusals: [
            {
              ins: [blank(1, 1, 1)],
              attrs: { before: [1], after: [1, 1, 1] },
              message: 'pad: bounds [1] and [1,1,1] do not fit [1,1,1]',
            },
            {
              ins: [blank(1, 1, 1)],
              attrs: { before: [0, 0, 0], after: [0, -1, 0] },
              message: 'pad: bounds [0,0,0] and [0,-1,0] do not fit [1,1,1]',
            },
          ],
        },
      ),
    ]),
  ),
};

/** x, and ids [.., m, ..] along an axis. */
const withIds = (size: fc.Arbitrary<number>) =>
  fc.tuple(size, size, size, axisOf, fc.integer({ min: 0, max: 4 })).chain(([a, b, c, axis, m]) => {
    const shape = [a, b, c].map((d, i) => Math.max(Math.min(d, 4), Number(i === whole(axis))));
    return fc.record({
      ins: fc.tuple(
        floats(shape),
        ids(replaced(shape, whole(axis), m), shape[whole(axis)]),
        floats(replaced(shape, whole(axis), m)),
      ),
      attrs: fc.constant({ axis, size: shape[whole(axis)] }),
    });
  });

const sorted = (x: Arr, axis: number, index: readonly number[], descending: boolean): [value: number, from: number][] =>
  line(x, axis, index)
    .map((v, i): [number, number] => [v, i])
    .sort(([a, i], [b, j]) => (descending ? b - a : a - b) || i - j);

const order = fc.record({ axis: axisOf, descending: fc.boolean() });

const positions: Record<string, LibraryRow<never>> = {
  'cumsum, any axis': ofBlock(
    axisOf,
    (x, axis) => tabulate(x.shape, (...i) => total(line(x, whole(axis), i).slice(0, i[whole(axis)] + 1))),
    (x, axis) => ag.cumsum(x, { axis }),
    { refusals: [axisRefusal('cumsum')] },
  ),
  sort: ofBlock(
    order,
    (x, { axis, descending }) =>
      tabulate(x.shape, (...i) => exact(sorted(x, whole(axis), i, descending)[i[whole(axis)]][0])),
    (x, options) => ag.sort(x, options),
    {
      smooth: distinct,
      refusals: [{ ins: [blank(1, 1, 1)], attrs: { axis: 3, descending: true }, message: outOfRange('sort') }],
    },
  ),
  argsort: ofBlock(
    order,
    (x, { axis, descending }) =>
      tabulate(x.shape, (...i) => exact(sorted(x, whole(axis), i, descending)[i[whole(axis)]][1])),
    (x, options) => ag.argsort(x, options),
    { whole: true },
  ),
  'topk, values': ofBlock(
    (shape) =>
      axisOf.chain((axis) =>
        fc.record({ axis: fc.constant(axis), k: fc.nat({ max: shape[whole(axis)] }), largest: fc.boolean() }),
      ),
    (x, { axis, k, largest }) =>
      tabulate(replaced(x.shape, whole(axis), k), (...i) =>
        exact(sorted(x, whole(axis), i, largest)[i[whole(axis)]][0]),
      ),
    (x, { k, axis, largest }) => ag.topk(x, k, { axis, largest }).values,
    {
      smooth: distinct,
      refusals: [
        {
          ins: [blank(1, 1, 2)],
          attrs: { axis: -1, k: 3, largest: true },
          message: 'argsort: count 3 is not in 0..2, the size of the axis of [1,1,2]',
        },
      ],
    },
  ),
  'topk, positions': ofBlock(
    (shape) => axisOf.chain((axis) => fc.record({ axis: fc.constant(axis), k: fc.nat({ max: shape[whole(axis)] }) })),
    (x, { axis, k }) =>
      tabulate(replaced(x.shape, whole(axis), k), (...i) => exact(sorted(x, whole(axis), i, true)[i[whole(axis)]][1])),
    (x, { k, axis }) => ag.topk(x, k, { axis }).indices,
    { whole: true },
  ),
  'gather, any axis': row<{ axis: number }>({
    cases: withIds,
    define: ([x, which], { axis }) => tabulate(which.shape, (...i) => exact(line(x, whole(axis), i)[at(which, ...i)])),
    operation: ([x, which], { axis }) => ag.gather(x, which, axis),
    constants: [2],
    refusals: [{ ins: [blank(1, 1, 1), i32([0], [1, 1, 1])], attrs: { axis: 3 }, message: outOfRange('gather') }],
  }),
  'scatterAdd, any axis': row<{ axis: number; size: number }>({
    cases: withIds,
    define: ([x, which, values], { axis, size }) =>
      tabulate(x.shape, (...i) => {
        const ids = line(which, whole(axis), i);
        return total(line(values, whole(axis), i).filter((_, l) => size > 0 && ids[l] === i[whole(axis)]));
      }),
    operation: ([, which, values], { axis, size }) => ag.scatterAdd(values, which, size, axis),
    constants: [0],
    refusals: [
      {
        ins: [blank(), i32([0], [1, 1, 1]), blank(1, 1, 1)],
        attrs: { axis: 3, size: 1 },
        message: outOfRange('scatterAdd'),
      },
    ],
  }),
  take: row<number>({
    cases: (size) =>
      fc.tuple(size, size, size, axisOf).chain(([a, b, c, axis]) => {
        const shape = [a, b, c].map((d, i) => Math.max(Math.min(d, 4), Number(i === whole(axis))));
        return fc.record({ ins: fc.tuple(floats(shape), ids([2, 3], shape[whole(axis)])), attrs: fc.constant(axis) });
      }),
    define: ([x, which], axis) => {
      const place = whole(axis);
      return tabulate([...x.shape.slice(0, place), 2, 3, ...x.shape.slice(place + 1)], (...i) =>
        exact(at(x, ...i.slice(0, place), at(which, i[place], i[place + 1]), ...i.slice(place + 2))),
      );
    },
    operation: ([x, which], axis) => ag.take(x, which, axis),
    refusals: [
      { ins: [blank(1, 1, 1), i32([0])], attrs: 3, message: outOfRange('take') },
      { ins: [blank(2, 1, 1), i32([2])], attrs: 0, message: 'gatherRows: id 2 at position 0 is outside 0..1' },
    ],
  }),
};

export const libraryShape: Record<string, LibraryRow<never>> = { ...parts, ...positions };
