/** @file Op rows: elementwise kernels. */

import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import {
  type Approx,
  at,
  blank,
  type Case,
  exact,
  f32,
  type OpRow,
  type OpRows,
  off,
  range,
  tabulate,
  ulps,
} from './op-row.ts';
import { broadcastable, distinct, floats, ids, nonzero, number, positive, shapes } from './op-values.ts';

type Unary =
  | 'neg'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'reciprocal'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'sigmoid'
  | 'abs'
  | 'sign'
  | 'erf';

type Binary = 'add' | 'sub' | 'mul' | 'div' | 'maximum' | 'minimum' | 'greater' | 'equal' | 'notEqual';

const unary = <K extends Unary>(
  operation: (x: Tensor) => Tensor,
  f: (x: number) => Approx,
  options: { domain?: fc.Arbitrary<number>; smooth?: (c: Case<K>) => Case<K> } = {},
): OpRow<K> => ({
  cases: (size) =>
    shapes(size).chain((shape) =>
      fc.record({ ins: fc.tuple(floats(shape, options.domain)), attrs: fc.constant({}) }),
    ) as fc.Arbitrary<Case<K>>,
  define: ([x]) => [tabulate(x.shape, (...i) => f(at(x, ...i)))],
  gradient: { operation: ([x]) => operation(x), smooth: options.smooth },
  refusals: [],
});

/** NumPy's rule, axis by axis from the last: the size that is not 1. */
function commonShape(...xs: { shape: readonly number[] }[]): number[] {
  const rank = Math.max(...xs.map((x) => x.shape.length));
  return range(rank).map((i) => {
    const sizes = xs.map((x) => x.shape.at(i - rank) ?? 1).filter((_, which) => rank - i <= xs[which].shape.length);
    return sizes.find((d) => d !== 1) ?? 1;
  });
}

const binary = <K extends Binary>(
  kernel: K,
  operation: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => Approx,
  options: { second?: fc.Arbitrary<number>; smooth?: (c: Case<K>) => Case<K> } = {},
): OpRow<K> => ({
  cases: (size) =>
    broadcastable(size, 2).chain(([a, b]) =>
      fc.record({ ins: fc.tuple(floats(a), floats(b, options.second)), attrs: fc.constant({}) }),
    ) as fc.Arbitrary<Case<K>>,
  define: ([a, b]) => [tabulate(commonShape(a, b), (...i) => f(at(a, ...i), at(b, ...i)))],
  gradient: { operation: ([a, b]) => operation(a, b), smooth: options.smooth },
  refusals: [
    {
      ins: [f32([2, 3], range(6)), f32([2, 4], range(8))],
      attrs: {} as never,
      message: `${kernel}: shapes [2,3] and [2,4] do not broadcast: 3 != 4 on axis -1`,
    },
    {
      ins: [f32([3, 1], range(3)), f32([2, 1], range(2))],
      attrs: {} as never,
      message: `${kernel}: shapes [3,1] and [2,1] do not broadcast: 3 != 2 on axis -2`,
    },
  ],
});

/** Wellons' mix and the hash of (seed, i), on unbounded integers. */
function hash(seed: number, i: number): number {
  const word = (x: bigint) => x % 2n ** 32n;
  const mix = (x: bigint) => {
    const a = word((x ^ (x / 2n ** 16n)) * 0x21f0aaadn);
    const b = word((a ^ (a / 2n ** 15n)) * 0xd35a2d97n);
    return b ^ (b / 2n ** 15n);
  };
  return Number(mix(mix(word(BigInt(i) + 0x9e3779b9n)) ^ BigInt(seed)));
}

// Absolute where the value passes through 0 between two floats: near a multiple of pi, the argument is what was rounded.
const trigonometric = (y: number): Approx => off(y, Math.max(4 * Math.abs(y), 1));

const pairCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) => fc.tuple(floats(shape), floats(shape), floats(shape)));

/** Near 0 its series (Abramowitz & Stegun 7.1.5), beyond 1 minus the continued fraction of the rest (7.1.14). */
export function errorFunction(x: number): number {
  if (Math.abs(x) > 1.5) {
    let fraction = 0;
    for (let n = 300; n > 0; n--) fraction = n / 2 / (Math.abs(x) + fraction);
    return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (Math.abs(x) + fraction));
  }
  let [total, term] = [0, x];
  for (let n = 0; n < 40; n++) {
    total += term / (2 * n + 1);
    term *= -(x * x) / (n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

const sigmoid = (x: number): number => 0.5 + 0.5 * Math.tanh(x / 2);

export const elementwiseOps: OpRows<
  | 'neg'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'reciprocal'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'sigmoid'
  | 'abs'
  | 'sign'
  | 'erf'
  | 'toI32'
  | 'toF32'
  | 'affine'
  | 'dropout'
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'maximum'
  | 'minimum'
  | 'greater'
  | 'equal'
  | 'notEqual'
  | 'where'
  | 'swiGlu'
  | 'swiGluBackward'
> = {
  neg: unary(ag.neg, (x) => exact(0 - x)),
  exp: unary(ag.exp, (x) => ulps(Math.exp(x / 2) ** 2, 4)),
  log: unary(ag.log, (x) => off(Math.log2(x) * Math.LN2, 4 * Math.max(1, Math.abs(Math.log(x)))), { domain: positive }),
  sqrt: unary(ag.sqrt, (x) => ulps(x ** 0.5, 1), { domain: positive }),
  reciprocal: unary(ag.reciprocal, (x) => ulps(x ** -1, 1), { domain: nonzero }),
  sin: unary(ag.sin, (x) => trigonometric(2 * Math.sin(x / 2) * Math.cos(x / 2))),
  cos: unary(ag.cos, (x) => trigonometric(1 - 2 * Math.sin(x / 2) ** 2)),
  tanh: unary(ag.tanh, (x) => ulps(Math.sinh(x) / Math.cosh(x), 4)),
  sigmoid: unary(ag.sigmoid, (x) => ulps(Math.exp(x) / (Math.exp(x) + 1), 6)),
  abs: unary(ag.abs, (x) => exact(Math.max(x, -x)), { smooth: distinct }),
  sign: unary(ag.sign, (x) => exact(Number(x > 0) - Number(x < 0)), { smooth: distinct }),
  erf: unary(ag.erf, (x) => ulps(errorFunction(x), 4)),
  toI32: {
    cases: (size) => shapes(size).chain((shape) => fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.constant({}) })),
    define: ([x]) => [tabulate(x.shape, (...i) => exact(Math.sign(at(x, ...i)) * Math.floor(Math.abs(at(x, ...i)))))],
    gradient: { whole: true },
    refusals: [],
  },
  toF32: {
    cases: (size) =>
      shapes(size).chain((shape) => fc.record({ ins: fc.tuple(ids(shape, 2 ** 24)), attrs: fc.constant({}) })),
    define: ([x]) => [tabulate(x.shape, (...i) => exact(at(x, ...i)))],
    gradient: { whole: true },
    refusals: [],
  },
  affine: {
    cases: (size) =>
      shapes(size).chain((shape) =>
        fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.record({ scale: number, shift: number }) }),
      ),
    define: ([x], { scale, shift }) => [
      tabulate(x.shape, (...i) =>
        off(shift + scale * at(x, ...i), 2 * (Math.abs(scale * at(x, ...i)) + Math.abs(shift))),
      ),
    ],
    gradient: { operation: ([x], { scale, shift }) => ag.affine(x, scale, shift) },
    refusals: [],
  },
  dropout: {
    cases: (size) =>
      shapes(size).chain((shape) =>
        fc.record({
          ins: fc.tuple(floats(shape)),
          // 1 / (1 - rate) is a float: the factor that implementations round once and for all is exact.
          attrs: fc.record({ rate: fc.constantFrom(0, 0.5, 0.75), seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
        }),
      ),
    define: ([x], { rate, seed }) => [
      {
        shape: x.shape,
        values: x.values.map((v, i) => (hash(seed, i) / 2 ** 32 < rate ? exact(0) : ulps(v / (1 - rate), 2))),
      },
    ],
    gradient: { operation: ([x], { rate, seed }) => ag.dropout(x, rate, seed) },
    refusals: [
      { ins: [f32([2], [1, 2])], attrs: { rate: 1, seed: 0 }, message: 'dropout: rate must be in [0, 1), got 1' },
      { ins: [f32([2], [1, 2])], attrs: { rate: -0.1, seed: 0 }, message: 'dropout: rate must be in [0, 1), got -0.1' },
      {
        ins: [f32([2], [1, 2])],
        attrs: { rate: 0.5, seed: 2 ** 32 },
        message: 'dropout: seed must be a u32, got 4294967296',
      },
      { ins: [f32([2], [1, 2])], attrs: { rate: 0.5, seed: -1 }, message: 'dropout: seed must be a u32, got -1' },
      { ins: [f32([2], [1, 2])], attrs: { rate: 0.5, seed: 0.5 }, message: 'dropout: seed must be a u32, got 0.5' },
    ],
  },
  add: binary('add', ag.add, (a, b) => ulps(b + a, 1)),
  sub: binary('sub', ag.sub, (a, b) => ulps(-(b - a), 1)),
  mul: binary('mul', ag.mul, (a, b) => ulps(b * a, 1)),
  div: binary('div', ag.div, (a, b) => ulps(a * b ** -1, 1), { second: nonzero }),
  maximum: binary('maximum', ag.maximum, (a, b) => exact((a + b + Math.abs(a - b)) / 2), { smooth: distinct }),
  minimum: binary('minimum', ag.minimum, (a, b) => exact((a + b - Math.abs(a - b)) / 2), { smooth: distinct }),
  greater: binary('greater', ag.greater, (a, b) => exact(Number(a > b)), { smooth: distinct }),
  equal: binary('equal', ag.equal, (a, b) => exact(Number(a === b)), { smooth: distinct }),
  notEqual: binary('notEqual', ag.notEqual, (a, b) => exact(Number(a < b || a > b)), { smooth: distinct }),
  where: {
    cases: (size) =>
      broadcastable(size, 3).chain(([c, a, b]) =>
        fc.record({
          ins: fc.tuple(floats(c, fc.constantFrom(0, 0, 1, -2.5)), floats(a), floats(b)),
          attrs: fc.constant({}),
        }),
      ),
    define: ([c, a, b]) => [
      tabulate(commonShape(c, a, b), (...i) => exact(at(c, ...i) === 0 ? at(b, ...i) : at(a, ...i))),
    ],
    gradient: { operation: ([c, a, b]) => ag.where(c, a, b), constants: [0] },
    refusals: [
      {
        ins: [f32([2], [0, 1]), f32([3], [1, 2, 3]), f32([], [1])],
        attrs: {},
        message: 'where: shapes [2] and [3] do not broadcast: 2 != 3 on axis -1',
      },
      {
        ins: [f32([], [1]), f32([3], [1, 2, 3]), f32([4], [1, 2, 3, 4])],
        attrs: {},
        message: 'where: shapes [3] and [4] do not broadcast: 3 != 4 on axis -1',
      },
    ],
  },
  swiGlu: {
    cases: (size) => fc.record({ ins: pairCases(size).map(([a, b]) => [a, b]), attrs: fc.constant({}) }),
    define: ([a, b]) => [tabulate(a.shape, (...i) => ulps(at(a, ...i) * at(b, ...i) * sigmoid(at(a, ...i)), 10))],
    gradient: {
      operation: ([a, b]) => ag.swiGlu(a, b),
      composed: ([a, b]) => ag.composed.swiGlu(a, b),
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
    gradient: { gradientOf: 'swiGlu' },
    refusals: [
      { ins: [blank(2, 3), blank(2, 3), blank(3)], attrs: {}, message: 'swiGluBackward: g must be [2,3], got [3]' },
    ],
  },
};
