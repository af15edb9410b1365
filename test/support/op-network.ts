/** @file Op rows: the fused kernels of a transformer but attention. */
import * as ag from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import {
  type Arr,
  at,
  blank,
  i32,
  magnitude,
  type OpRows,
  off,
  plain,
  range,
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

const probabilities = (row: readonly number[]): number[] => row.map((x) => Math.exp(x) / plain(row.map(Math.exp)));

const logitCases = (size: fc.Arbitrary<number>) =>
  fc
    .tuple(size, size)
    .chain(([n, V]) => fc.tuple(floats([V === 0 ? 0 : n, V]), ids([V === 0 ? 0 : n], V), floats([V === 0 ? 0 : n])));

const eps = fc.constantFrom(1e-5, 0.5);
const normCases = (size: fc.Arbitrary<number>) =>
  shapes(size, 1).chain((shape) => fc.tuple(floats(shape), floats([shape.at(-1)!]), floats(shape)));

const pairCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) => fc.tuple(floats(shape), floats(shape), floats(shape)));

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

const rms = (row: readonly number[], e: number): number => (plain(row.map((x) => x ** 2)) / row.length + e) ** 0.5;
const sigmoid = (x: number): number => 0.5 + 0.5 * Math.tanh(x / 2);

/** One row of x, whatever its rank, by the index of an element. */
const rowAt = (x: Arr, index: readonly number[]): number[] => {
  const lead = index.slice(0, -1).reduce((offset, i, axis) => offset * x.shape[axis] + i, 0);
  return rowsOf(x)[lead];
};

const backwardRefused = (op: string, instead: string) =>
  `${op}: no second derivative of the fused kernel; build the function from ${instead} instead`;

export const networkOps: OpRows<
  | 'softmax'
  | 'logSoftmax'
  | 'crossEntropy'
  | 'crossEntropyBackward'
  | 'rmsNorm'
  | 'rmsNormBackward'
  | 'rope'
  | 'swiGlu'
  | 'swiGluBackward'
> = {
  softmax: {
    cases: matrix,
    define: ([x]) => [
      tabulate(x.shape, (...i) => ulps(probabilities(rowAt(x, i))[i.at(-1)!], softmaxRoundoffs(rowAt(x, i)))),
    ],
    gradient: { operation: ([x]) => ag.softmax(x), composed: ([x]) => ag.composed.softmax(x), order: 2 },
    refusals: [{ ins: [blank()], attrs: {}, message: 'softmax: needs at least one axis, got a scalar' }],
  },
  logSoftmax: {
    cases: matrix,
    define: ([x]) => [
      tabulate(x.shape, (...i) => off(Math.log(probabilities(rowAt(x, i))[i.at(-1)!]), softmaxRoundoffs(rowAt(x, i)))),
    ],
    gradient: { operation: ([x]) => ag.logSoftmax(x), composed: ([x]) => ag.composed.logSoftmax(x), order: 2 },
    refusals: [{ ins: [blank()], attrs: {}, message: 'logSoftmax: needs at least one axis, got a scalar' }],
  },
  crossEntropy: {
    cases: (size) => logitCases(size).map(([logits, targets]) => ({ ins: [logits, targets], attrs: {} })),
    define: ([logits, targets]) => [
      tabulate(targets.shape, (i) => {
        const row = rowsOf(logits)[i];
        return off(
          -Math.log(probabilities(row)[at(targets, i)]),
          softmaxRoundoffs(row) + 2 * Math.abs(row[at(targets, i)]) + 2 * Math.max(...row.map(Math.abs)),
        );
      }),
    ],
    gradient: {
      operation: ([logits, targets]) => ag.crossEntropy(logits, targets),
      composed: ([logits, targets]) => ag.composed.crossEntropy(logits, targets),
      order: 1,
      refusedTwice: backwardRefused('crossEntropy', 'logSoftmax'),
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
    define: ([logits, targets, g]) => [
      tabulate(logits.shape, (i, v) => {
        const p = probabilities(rowsOf(logits)[i]);
        const t = at(targets, i);
        const dp = p[t] * (Number(v === t) - p[v]);
        return off((-at(g, i) / p[t]) * dp, Math.abs(at(g, i)) * (p[v] * softmaxRoundoffs(rowsOf(logits)[i]) + 4));
      }),
    ],
    gradient: { refused: backwardRefused('crossEntropy', 'logSoftmax') },
    refusals: [
      { ins: [blank(2, 3), i32([0, 1]), blank(3)], attrs: {}, message: 'crossEntropyBackward: g must be [2], got [3]' },
    ],
  },

  rmsNorm: {
    cases: (size) => fc.record({ ins: normCases(size).map(([x, w]) => [x, w]), attrs: fc.record({ eps }) }),
    define: ([x, w], a) => [
      tabulate(x.shape, (...i) => ulps((at(x, ...i) * at(w, i.at(-1)!)) / rms(rowAt(x, i), a.eps), w.shape[0] + 8)),
    ],
    gradient: {
      operation: ([x, w], a) => ag.rmsNorm(x, w, a.eps),
      composed: ([x, w], a) => ag.composed.rmsNorm(x, w, a.eps),
      order: 1,
      refusedTwice: backwardRefused('rmsNorm', 'composed.rmsNorm'),
      // At eps 1e-5 a row near 0 bends too sharply for a difference quotient; 0.5 keeps eps visible.
      smooth: (c) => ({ ...c, attrs: { eps: 0.5 } }),
    },
    refusals: [
      { ins: [blank(), blank(1)], attrs: { eps: 1e-5 }, message: 'rmsNorm: x needs at least one axis' },
      { ins: [blank(2, 3), blank(2)], attrs: { eps: 1e-5 }, message: 'rmsNorm: w must be [3], got [2]' },
      { ins: [blank(2, 3), blank(1, 3)], attrs: { eps: 1e-5 }, message: 'rmsNorm: w must be [3], got [1,3]' },
    ],
  },
  rmsNormBackward: {
    cases: (size) => fc.record({ ins: normCases(size), attrs: fc.record({ eps }) }),
    // Row by row the Jacobian dy_j / dx_c = w_j ([j = c] / rms - x_j x_c / (C rms^3)), applied to g.
    define: ([x, w, g], a) => {
      const C = w.shape[0];
      const dx = tabulate(x.shape, (...index) => {
        const c = index.at(-1)!;
        const row = rowAt(x, index);
        const rowG = rowAt(g, index);
        const s = rms(row, a.eps);
        const own = (rowG[c] * w.values[c]) / s;
        const others = range(C).map((j) => (-rowG[j] * w.values[j] * row[j] * row[c]) / (C * s ** 3));
        return off(own + plain(others), (C + 4) * Math.abs(own) + (3 * C + 20) * magnitude(others));
      });
      const dw = tabulate(w.shape, (c) => {
        const terms = rowsOf(x).map((row, i) => (rowsOf(g)[i][c] * row[c]) / rms(row, a.eps));
        return off(plain(terms), (terms.length + C + 8) * magnitude(terms));
      });
      return [dx, dw];
    },
    gradient: { refused: backwardRefused('rmsNorm', 'composed.rmsNorm') },
    refusals: [
      {
        ins: [blank(2, 3), blank(3), blank(3)],
        attrs: { eps: 1e-5 },
        message: 'rmsNormBackward: g must be [2,3], got [3]',
      },
    ],
  },

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
      order: 2,
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

  swiGlu: {
    cases: (size) => fc.record({ ins: pairCases(size).map(([a, b]) => [a, b]), attrs: fc.constant({}) }),
    define: ([a, b]) => [tabulate(a.shape, (...i) => ulps(at(a, ...i) * at(b, ...i) * sigmoid(at(a, ...i)), 10))],
    gradient: {
      operation: ([a, b]) => ag.swiGlu(a, b),
      composed: ([a, b]) => ag.composed.swiGlu(a, b),
      order: 1,
      refusedTwice: backwardRefused('swiGlu', 'silu and mul'),
    },
    refusals: [{ ins: [blank(2, 3), blank(3)], attrs: {}, message: 'swiGlu: b must be [2,3], got [3]' }],
  },
  swiGluBackward: {
    cases: (size) => fc.record({ ins: pairCases(size), attrs: fc.constant({}) }),
    // silu'(a) = sigmoid(a) + a sigmoid'(a), sigmoid'(a) = sigmoid(a) sigmoid(-a)
    define: ([a, b, g]) => [
      tabulate(a.shape, (...i) => {
        const [x, s, other] = [at(a, ...i), sigmoid(at(a, ...i)), sigmoid(-at(a, ...i))];
        const outer = at(g, ...i) * at(b, ...i);
        return off(outer * (s + x * s * other), 12 * Math.abs(outer) * s * (1 + Math.abs(x) * (other + 1)));
      }),
      tabulate(a.shape, (...i) => ulps(at(g, ...i) * at(a, ...i) * sigmoid(at(a, ...i)), 10)),
    ],
    gradient: { refused: backwardRefused('swiGlu', 'silu and mul') },
    refusals: [
      { ins: [blank(2, 3), blank(2, 3), blank(3)], attrs: {}, message: 'swiGluBackward: g must be [2,3], got [3]' },
    ],
  },
};

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
