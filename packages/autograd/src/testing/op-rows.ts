/** @file Op rows: reading and summing rows of tables. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { type Arr, at, blank, exact, f32, i32, type OpRows, range, tabulate, total, ulps } from './op-row.ts';
import { distinct, floats, ids, rising } from './op-values.ts';

/** Rows 0..limit-1 exist, so a table without rows takes no ids. */
const tableAndIds = (size: fc.Arbitrary<number>, groups: fc.Arbitrary<number[]>, lowest: 0 | -1) =>
  fc.tuple(size, size, size, groups).chain(([V, C, n, G]) =>
    fc.record({
      ins: fc.tuple(floats([V, C]), ids([V === 0 && lowest === 0 ? 0 : n, ...G], V, lowest)),
      attrs: fc.constant({}),
    }),
  );

/** x [n,C] and the starts of P segments, which may be empty and may leave rows out at both ends. */
const segmentCases = (size: fc.Arbitrary<number>) =>
  fc.tuple(size, size, fc.nat({ max: 5 })).chain(([n, C, P]) =>
    fc.record({
      ins: fc.tuple(
        floats([n, C]),
        rising(P + 1, n).map((s) => i32(s)),
      ),
      attrs: fc.constant({}),
    }),
  );

/** The rows of segment p. */
const members = (starts: Arr, p: number): number[] =>
  range(Math.max(0, at(starts, p + 1) - at(starts, p))).map((i) => i + at(starts, p));

export const rowsOps: OpRows<
  | 'gatherRows'
  | 'scatterAddRows'
  | 'embeddingBag'
  | 'segmentGatherSum'
  | 'segmentMax'
  | 'segmentMaxBackward'
  | 'writeRows'
> = {
  gatherRows: {
    cases: (size) => tableAndIds(size, fc.constant([]), 0),
    define: ([table, rows]) => [tabulate([rows.shape[0], table.shape[1]], (i, c) => exact(at(table, at(rows, i), c)))],
    gradient: { operation: ([table, rows]) => ag.gatherRows(table, rows) },
    refusals: [
      { ins: [blank(3), i32([0])], attrs: {}, message: 'gatherRows: table must have 2 axes, got [3]' },
      { ins: [blank(3, 2), i32([0], [1, 1])], attrs: {}, message: 'gatherRows: ids must have 1 axes, got [1,1]' },
      // What is wrong with the table or the dtype comes first: it says what an id would be looked up in.
      { ins: [blank(3), i32([7])], attrs: {}, message: 'gatherRows: table must have 2 axes, got [3]' },
      {
        ins: [blank(3, 2), f32([1], [7])],
        attrs: {},
        message: "gatherRows: input 1 must be i32, got f32 [1]; cast(x, 'i32') of it is",
        error: 'TypeError',
      },
      {
        ins: [blank(3, 2), i32([0, 3])],
        attrs: {},
        message: 'gatherRows: id 3 at position 1 is outside 0..2',
        error: 'RangeError',
      },
      {
        ins: [blank(3, 2), i32([-1, 3])],
        attrs: {},
        message: 'gatherRows: id -1 at position 0 is outside 0..2',
        error: 'RangeError',
      },
    ],
  },
  scatterAddRows: {
    cases: (size) =>
      fc.tuple(size, size, size).chain(([n, C, rows]) => {
        const count = rows === 0 ? 0 : n;
        return fc.record({ ins: fc.tuple(floats([count, C]), ids([count], rows)), attrs: fc.constant({ rows }) });
      }),
    define: ([x, to], { rows }) => [
      tabulate([rows, x.shape[1]], (r, c) =>
        total(range(x.shape[0]).flatMap((i) => (at(to, i) === r ? [at(x, i, c)] : []))),
      ),
    ],
    gradient: { operation: ([x, to], { rows }) => ag.scatterAddRows(x, to, rows) },
    refusals: [
      { ins: [blank(3), i32([0, 0, 0])], attrs: { rows: 2 }, message: 'scatterAddRows: x must have 2 axes, got [3]' },
      { ins: [blank(3, 2), i32([0])], attrs: { rows: 2 }, message: 'scatterAddRows: ids must be [3], got [1]' },
      {
        ins: [blank(0, 2), i32([])],
        attrs: { rows: -1 },
        message: 'scatterAddRows: shape [-1,2] has size -1; sizes are whole numbers >= 0',
      },
      {
        ins: [blank(1, 2), i32([2])],
        attrs: { rows: 2 },
        message: 'scatterAddRows: id 2 at position 0 is outside 0..1',
        error: 'RangeError',
      },
      {
        ins: [blank(1, 2), i32([-1])],
        attrs: { rows: 2 },
        message: 'scatterAddRows: id -1 at position 0 is outside 0..1',
        error: 'RangeError',
      },
    ],
  },
  embeddingBag: {
    cases: (size) =>
      tableAndIds(
        size,
        fc.nat({ max: 4 }).map((G) => [G]),
        -1,
      ),
    define: ([table, bags]) => [
      tabulate([bags.shape[0], table.shape[1]], (i, c) =>
        total(range(bags.shape[1]).map((g) => (at(bags, i, g) < 0 ? 0 : at(table, at(bags, i, g), c)))),
      ),
    ],
    gradient: {
      operation: ([table, bags]) => ag.embeddingBag(table, bags),
      composed: ([table, bags]) => ag.composed.embeddingBag(table, bags),
    },
    refusals: [
      { ins: [blank(3), i32([0], [1, 1])], attrs: {}, message: 'embeddingBag: table must have 2 axes, got [3]' },
      { ins: [blank(3, 2), i32([0])], attrs: {}, message: 'embeddingBag: ids must have 2 axes, got [1]' },
      {
        ins: [blank(3), i32([7], [1, 1])],
        attrs: {},
        message: 'embeddingBag: table must have 2 axes, got [3]',
      },
      {
        ins: [blank(3, 2), f32([1, 1], [7])],
        attrs: {},
        message: "embeddingBag: input 1 must be i32, got f32 [1,1]; cast(x, 'i32') of it is",
        error: 'TypeError',
      },
      {
        ins: [blank(3, 2), i32([0, 3], [1, 2])],
        attrs: {},
        message: 'embeddingBag: id 3 at position 1 is outside -1..2',
        error: 'RangeError',
      },
      {
        ins: [blank(3, 2), i32([-2, 3], [1, 2])],
        attrs: {},
        message: 'embeddingBag: id -2 at position 0 is outside -1..2',
        error: 'RangeError',
      },
    ],
  },
  segmentGatherSum: {
    cases: (size) =>
      fc.tuple(size, size, size, fc.nat({ max: 5 })).chain(([n, C, E, U]) => {
        // Twice as many entries as rows: segments with several of them, after some that no segment has.
        const entries = n === 0 ? 0 : 2 * E;
        return fc.record({
          ins: fc.tuple(
            floats([n, C]),
            ids([entries], n),
            rising(U + 1, entries).map((s) => i32(s)),
          ),
          attrs: fc.constant({}),
        });
      }),
    define: ([x, entries, starts]) => [
      tabulate([starts.shape[0] - 1, x.shape[1]], (u, c) =>
        total(members(starts, u).map((e) => at(x, at(entries, e), c))),
      ),
    ],
    gradient: { operation: ([x, entries, starts]) => ag.segmentGatherSum(x, entries, starts) },
    refusals: [
      { ins: [blank(3), i32([0]), i32([0])], attrs: {}, message: 'segmentGatherSum: x must have 2 axes, got [3]' },
      {
        ins: [blank(3, 2), i32([0], [1, 1]), i32([0])],
        attrs: {},
        message: 'segmentGatherSum: entries must have 1 axes, got [1,1]',
      },
      {
        ins: [blank(3, 2), i32([0]), i32([])],
        attrs: {},
        message: 'segmentGatherSum: starts needs at least one entry',
      },
      {
        ins: [blank(3, 2), i32([0]), i32([0], [1, 1])],
        attrs: {},
        message: 'segmentGatherSum: starts needs at least one entry',
      },
    ],
  },
  segmentMax: {
    cases: segmentCases,
    define: ([x, starts]) => [
      tabulate([starts.shape[0] - 1, x.shape[1]], (p, c) => {
        const values = members(starts, p).map((i) => at(x, i, c));
        return exact(values.length === 0 ? 0 : Math.max(...values));
      }),
    ],
    gradient: {
      operation: ([x, starts]) => ag.segmentMax(x, starts),
      composed: ([x, starts]) => ag.composed.segmentMax(x, starts),
      smooth: distinct,
    },
    refusals: [
      { ins: [blank(3), i32([0])], attrs: {}, message: 'segmentMax: x must have 2 axes, got [3]' },
      { ins: [blank(3, 2), i32([])], attrs: {}, message: 'segmentMax: starts needs at least one entry' },
      { ins: [blank(3, 2), i32([0], [1, 1])], attrs: {}, message: 'segmentMax: starts needs at least one entry' },
    ],
  },
  segmentMaxBackward: {
    cases: (size) =>
      segmentCases(size).chain(({ ins: [x, starts] }) => {
        const [y] = rowsOps.segmentMax.define([x, starts], {});
        const peaks = { ...x, shape: y.shape, values: y.values.map((v) => v.value) };
        return fc.record({
          ins: fc.tuple(fc.constant(x), fc.constant(peaks), floats(y.shape), fc.constant(starts)),
          attrs: fc.constant({}),
        });
      }),
    // Each segment hands g to its largest rows in equal parts.
    define: ([x, , g, starts]) => [
      tabulate(x.shape, (i, c) => {
        const segment = range(g.shape[0]).find((p) => members(starts, p).includes(i));
        if (segment === undefined) return exact(0);
        const rivals = members(starts, segment).map((r) => at(x, r, c));
        const winners = rivals.filter((r) => rivals.every((other) => r >= other));
        return winners.includes(at(x, i, c)) ? ulps(at(g, segment, c) / winners.length, 2) : exact(0);
      }),
    ],
    gradient: { gradientOf: 'segmentMax' },
    refusals: [
      {
        ins: [blank(3, 2), blank(1, 2), blank(2, 2), i32([0, 3])],
        attrs: {},
        message: 'segmentMaxBackward: g must be [1,2], got [2,2]',
      },
    ],
  },
  writeRows: {
    cases: (size) =>
      fc.tuple(size, size).chain(([V, C]) =>
        fc.subarray(range(V)).chain((rows) =>
          fc.shuffledSubarray(rows, { minLength: rows.length }).chain((order) =>
            fc.record({
              ins: fc.tuple(floats([V, C]), fc.constant(i32(order)), floats([order.length, C])),
              attrs: fc.constant({}),
            }),
          ),
        ),
      ),
    define: ([table, ids, x]) => [
      tabulate(table.shape, (r, c) => {
        const i = ids.values.indexOf(r);
        return exact(i < 0 ? at(table, r, c) : at(x, i, c));
      }),
    ],
    gradient: { refused: 'writeRows overwrites a tensor that a gradient is being taken through; call it outside' },
    refusals: [
      { ins: [blank(3), i32([0]), blank(1, 3)], attrs: {}, message: 'writeRows: table must have 2 axes, got [3]' },
      {
        ins: [blank(3, 2), i32([0], [1, 1]), blank(1, 2)],
        attrs: {},
        message: 'writeRows: ids must have 1 axes, got [1,1]',
      },
      { ins: [blank(3, 2), i32([0]), blank(1, 3)], attrs: {}, message: 'writeRows: x must be [1,2], got [1,3]' },
    ],
  },
};
