/** @file Rows of the library: order and positions. */
import fc from 'fast-check';
import * as ag from '../index.ts';
import { axisOf, axisRefusal, line, ofBlock, outOfRange, replaced, whole } from './library-block.ts';
import { type LibraryRow, row } from './library-row.ts';
import { type Arr, at, blank, exact, f32, i32, product, tabulate, total } from './op-row.ts';
import { distinct, floats, ids, shapes } from './op-values.ts';

/** Place of the element that an index, without its last part, names. */
function offset(x: Arr, index: readonly number[]): number {
  return x.shape.reduce((place, d, axis) => place * d + index[axis], 0);
}

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

export const libraryIndexing: Record<string, LibraryRow<never>> = {
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
    { whole: true, dtype: 'i32' },
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
          message: 'topk: k 3 is not in 0..2, the size of the axis of [1,1,2]',
        },
      ],
    },
  ),
  'topk, positions': ofBlock(
    (shape) => axisOf.chain((axis) => fc.record({ axis: fc.constant(axis), k: fc.nat({ max: shape[whole(axis)] }) })),
    (x, { axis, k }) =>
      tabulate(replaced(x.shape, whole(axis), k), (...i) => exact(sorted(x, whole(axis), i, true)[i[whole(axis)]][1])),
    (x, { k, axis }) => ag.topk(x, k, { axis }).indices,
    { whole: true, dtype: 'i32' },
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
