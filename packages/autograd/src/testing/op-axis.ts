/** @file Op rows: kernels along the last axis. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { type Arr, at, blank, exact, i32, type OpRows, range, tabulate, total } from './op-row.ts';
import { floats, ids, shapes } from './op-values.ts';

const lastOf = (x: Arr): number => x.shape[x.shape.length - 1];
const withLast = (x: Arr, size: number): number[] => [...x.shape.slice(0, -1), size];

/** Rows of n elements, and positions of m of them. */
const positionCases = (size: fc.Arbitrary<number>) =>
  fc
    .tuple(shapes(size, 1), fc.nat({ max: 7 }))
    // Without elements there is nothing to point at.
    .map(([shape, m]) => [shape, shape[shape.length - 1] === 0 ? 0 : m] as const);

/** The row of x that element `index` of a result is computed from. */
const rowOf = (x: Arr, index: readonly number[]): number[] =>
  range(lastOf(x)).map((l) => at(x, ...index.slice(0, -1), l));

export const axisOps: OpRows<'cumsum' | 'argsort' | 'gatherAxis' | 'scatterAddAxis'> = {
  cumsum: {
    cases: (size) =>
      shapes(size, 1).chain((shape) =>
        fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.record({ reverse: fc.boolean() }) }),
      ),
    define: ([x], { reverse }) => [
      tabulate(x.shape, (...i) => {
        const j = i[i.length - 1];
        return total(rowOf(x, i).filter((_, l) => (reverse ? l >= j : l <= j)));
      }),
    ],
    gradient: { operation: ([x], { reverse }) => ag.cumsum(x, { reverse }) },
    refusals: [{ ins: [blank()], attrs: { reverse: false }, message: 'cumsum: x needs at least one axis' }],
  },
  argsort: {
    cases: (size) =>
      shapes(size, 1).chain((shape) =>
        fc.record({
          ins: fc.tuple(floats(shape)),
          attrs: fc.record({ descending: fc.boolean(), count: fc.nat({ max: shape[shape.length - 1] }) }),
        }),
      ),
    define: ([x], { descending, count }) => [
      tabulate(withLast(x, count), (...i) => {
        const row = rowOf(x, i);
        // How many stand before an element decides its place.
        const before = (a: number, b: number) =>
          row[a] === row[b] ? a < b : descending ? row[a] > row[b] : row[a] < row[b];
        const place = (b: number) => range(row.length).filter((a) => before(a, b)).length;
        return exact(range(row.length).find((b) => place(b) === i[i.length - 1])!);
      }),
    ],
    gradient: { whole: true },
    refusals: [
      { ins: [blank()], attrs: { descending: false, count: 0 }, message: 'argsort: x needs at least one axis' },
      ...[4, -1, 0.5].map((count) => ({
        ins: [blank(2, 3)],
        attrs: { descending: false, count },
        message: `argsort: count ${count} is not in 0..3, the size of the axis of [2,3]`,
      })),
    ],
  },
  gatherAxis: {
    cases: (size) =>
      positionCases(size).chain(([shape, m]) =>
        fc.record({
          ins: fc.tuple(floats(shape), ids([...shape.slice(0, -1), m], shape[shape.length - 1])),
          attrs: fc.constant({}),
        }),
      ),
    define: ([x, positions]) => [tabulate(positions.shape, (...i) => exact(rowOf(x, i)[at(positions, ...i)]))],
    gradient: { operation: ([x, positions]) => ag.gather(x, positions) },
    refusals: [
      {
        ins: [blank(2, 3), i32(range(3), [3, 1])],
        attrs: {},
        message: 'gather: x [2,3] and ids [3,1] differ outside the axis',
      },
      { ins: [blank(2, 3), i32([0])], attrs: {}, message: 'gather: x [2,3] and ids [1] differ outside the axis' },
      { ins: [blank(), i32([0], [])], attrs: {}, message: 'gather: x needs at least one axis' },
      {
        ins: [blank(1, 3), i32([0, 3], [1, 2])],
        attrs: {},
        message: 'gatherAxis: id 3 at position 1 is outside 0..2',
        error: 'RangeError',
      },
    ],
  },
  scatterAddAxis: {
    cases: (size) =>
      positionCases(size).chain(([shape, m]) =>
        fc.record({
          ins: fc.tuple(floats([...shape.slice(0, -1), m]), ids([...shape.slice(0, -1), m], shape[shape.length - 1])),
          attrs: fc.constant({ size: shape[shape.length - 1] }),
        }),
      ),
    define: ([x, positions], { size }) => [
      tabulate(withLast(x, size), (...i) => {
        const places = rowOf(positions, i);
        return total(rowOf(x, i).filter((_, l) => places[l] === i[i.length - 1]));
      }),
    ],
    gradient: { operation: ([x, positions], { size }) => ag.scatterAdd(x, positions, size) },
    refusals: [
      {
        ins: [blank(1, 3), i32([0, 1], [1, 2])],
        attrs: { size: 2 },
        message: 'scatterAdd: values [1,3] and ids [1,2] differ',
      },
      {
        ins: [blank(2, 1), i32([0], [1, 1])],
        attrs: { size: 2 },
        message: 'scatterAdd: x [2,1] and ids [1,1] differ outside the axis',
      },
      {
        ins: [blank(1, 1), i32([0], [1, 1])],
        attrs: { size: -2 },
        message: 'scatterAdd: shape [-2] has size -2; sizes are whole numbers >= 0',
      },
      {
        ins: [blank(1, 1), i32([2], [1, 1])],
        attrs: { size: 2 },
        message: 'scatterAddAxis: id 2 at position 0 is outside 0..1',
        error: 'RangeError',
      },
    ],
  },
};
