/** @file Rows of the library: axes and parts. */
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import { axisOf, axisRefusal, ofBlock, outOfRange, replaced, whole } from './library-block.ts';
import { type LibraryRow, row } from './library-row.ts';
import { at, blank, exact, product, range, tabulate } from './op-row.ts';
import { floats, ids, shapes } from './op-values.ts';

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

export const libraryShape: Record<string, LibraryRow<never>> = {
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
};
