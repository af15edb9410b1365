/** @file Op rows: softmax and cross-entropy. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import {
  type Approx,
  type Arr,
  at,
  blank,
  type Expected,
  i32,
  type OpRows,
  off,
  plain,
  rowsOf,
  tabulate,
  ulps,
} from './op-row.ts';
import { floats, ids, shapes } from './op-values.ts';

const matrix = (size: fc.Arbitrary<number>) =>
  shapes(size, 1).chain((shape) => fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.constant({}) }));

/** Roundoffs in e^(x - max) / sum: the exponent is rounded where it is large, n terms are added, e^ and / err by a few. */
const softmaxRoundoffs = (row: readonly number[]): number =>
  2 * (Math.max(...row) - Math.min(...row)) + 2 * Math.log(row.length) + row.length + 12;

function probabilities(row: readonly number[]): number[] {
  const sum = plain(row.map(Math.exp));
  return row.map((x) => Math.exp(x) / sum);
}

/** An array made of another one row by row; `f` is given a row's probabilities, and how many roundoffs they may be off. */
const byRows = (x: Arr, f: (p: number, roundoffs: number) => Approx): Expected => ({
  shape: x.shape,
  values: rowsOf(x).flatMap((row) => {
    const roundoffs = softmaxRoundoffs(row);
    return probabilities(row).map((p) => f(p, roundoffs));
  }),
});

const logitCases = (size: fc.Arbitrary<number>) =>
  fc
    .tuple(size, size)
    .chain(([n, V]) => fc.tuple(floats([V === 0 ? 0 : n, V]), ids([V === 0 ? 0 : n], V), floats([V === 0 ? 0 : n])));

export const softmaxOps: OpRows<'softmax' | 'logSoftmax' | 'crossEntropy' | 'crossEntropyBackward'> = {
  softmax: {
    cases: matrix,
    define: ([x]) => [byRows(x, ulps)],
    gradient: { operation: ([x]) => ag.softmax(x), composed: ([x]) => ag.composed.softmax(x) },
    refusals: [{ ins: [blank()], attrs: {}, message: 'softmax: needs at least one axis, got a scalar' }],
  },
  logSoftmax: {
    cases: matrix,
    define: ([x]) => [byRows(x, (p, roundoffs) => off(Math.log(p), roundoffs))],
    gradient: { operation: ([x]) => ag.logSoftmax(x), composed: ([x]) => ag.composed.logSoftmax(x) },
    refusals: [{ ins: [blank()], attrs: {}, message: 'logSoftmax: needs at least one axis, got a scalar' }],
  },
  crossEntropy: {
    cases: (size) => logitCases(size).map(([logits, targets]) => ({ ins: [logits, targets], attrs: {} })),
    define: ([logits, targets]) => {
      const rows = rowsOf(logits);
      return [
        tabulate(targets.shape, (i) => {
          const row = rows[i];
          return off(
            -Math.log(probabilities(row)[at(targets, i)]),
            softmaxRoundoffs(row) +
              2 * Math.abs(row[at(targets, i)]) +
              2 * row.reduce((most, x) => Math.max(most, Math.abs(x)), 0),
          );
        }),
      ];
    },
    gradient: {
      operation: ([logits, targets]) => ag.crossEntropy(logits, targets),
      composed: ([logits, targets]) => ag.composed.crossEntropy(logits, targets),
    },
    refusals: [
      { ins: [blank(3), i32([0])], attrs: {}, message: 'crossEntropy: logits must have 2 axes, got [3]' },
      { ins: [blank(2, 3), i32([0])], attrs: {}, message: 'crossEntropy: targets must be [2], got [1]' },
      {
        ins: [blank(2, 3), i32([0, 3])],
        attrs: {},
        message: 'crossEntropy: target 3 at position 1 is outside 0..2',
        error: 'RangeError',
      },
      {
        ins: [blank(2, 3), i32([-1, 0])],
        attrs: {},
        message: 'crossEntropy: target -1 at position 0 is outside 0..2',
        error: 'RangeError',
      },
    ],
  },
  crossEntropyBackward: {
    cases: (size) => logitCases(size).map((ins) => ({ ins, attrs: {} })),
    // d loss / d x_v = -(1/p_t) dp_t/dx_v, with dp_t/dx_v = p_t ([v = t] - p_v)
    define: ([logits, targets, g]) => {
      const rows = rowsOf(logits);
      const [ps, roundoffs] = [rows.map(probabilities), rows.map(softmaxRoundoffs)];
      return [
        tabulate(logits.shape, (i, v) => {
          const p = ps[i];
          const t = at(targets, i);
          const dp = p[t] * (Number(v === t) - p[v]);
          return off((-at(g, i) / p[t]) * dp, Math.abs(at(g, i)) * (p[v] * roundoffs[i] + 4));
        }),
      ];
    },
    gradient: { gradientOf: 'crossEntropy' },
    refusals: [
      { ins: [blank(2, 3), i32([0, 1]), blank(3)], attrs: {}, message: 'crossEntropyBackward: g must be [2], got [3]' },
    ],
  },
};
