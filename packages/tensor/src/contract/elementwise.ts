/** @file Contract of the kernels that compute each element of the result from the elements at its place. */
import { broadcastShapes, sizeOf } from '../shape.ts';
import { type Entries, expect, expectShape, f32, type KernelEntry } from './types.ts';

/** y[i] = f(x[i]) */
const unary: KernelEntry<unknown> = {
  inputs: ['f32'],
  outputs: ([x]) => [x],
  flops: ([x]) => sizeOf(x.shape),
};

const binary = (op: string): KernelEntry<unknown> => ({
  inputs: ['f32', 'f32'],
  outputs: ([a, b]) => [f32(broadcastShapes(op, a.shape, b.shape))],
  flops: (_, [y]) => sizeOf(y.shape),
});

export const elementwise = {
  /** y = -x */
  neg: unary,
  /** y = e^x */
  exp: unary,
  /** y = ln x */
  log: unary,
  /** y = sqrt(x) */
  sqrt: unary,
  /** y = 1 / x */
  reciprocal: unary,
  /** y = sin x, x in radians */
  sin: unary,
  /** y = cos x, x in radians */
  cos: unary,
  /** y = tanh x */
  tanh: unary,
  /** y = 1 / (1 + e^-x) */
  sigmoid: unary,
  /** y = |x| */
  abs: unary,
  /** y = -1, 0 or 1 */
  sign: unary,
  /** y = erf x = 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x */
  erf: unary,
  /** y = scale * x + shift */
  affine: unary,
  /** The whole number next to x towards 0, kept in -2^31..2^31-1; NaN becomes 0. */
  toI32: { inputs: ['f32'], outputs: ([x]) => [{ dtype: 'i32', shape: x.shape }], flops: () => 0 },
  /** The float nearest to a whole number: itself up to 2^24. */
  toF32: { inputs: ['i32'], outputs: ([x]) => [f32(x.shape)], flops: () => 0 },
  /**
   * y[i] = 0 if hash32(seed, i) < rate * 2^32, else x[i] / (1 - rate). The mask is a function of (seed, i) alone: it is
   * never stored, the same on every backend and thread count, and the gradient is the same kernel with the same seed.
   */
  dropout: {
    inputs: ['f32'],
    outputs: ([x], { rate, seed }) => {
      expect(rate >= 0 && rate < 1, () => `dropout: rate must be in [0, 1), got ${rate}`);
      expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, () => `dropout: seed must be a u32, got ${seed}`);
      return [x];
    },
    flops: ([x]) => sizeOf(x.shape),
    aliases: [0],
  },
  /** y = a + b, broadcasting */
  add: { ...binary('add'), aliases: [0] },
  /** y = a - b, broadcasting */
  sub: binary('sub'),
  /** y = a * b, broadcasting */
  mul: binary('mul'),
  /** y = a / b, broadcasting */
  div: binary('div'),
  /** y = max(a, b), broadcasting; NaN if either is */
  maximum: { ...binary('maximum'), aliases: [0] },
  /** y = min(a, b), broadcasting; NaN if either is */
  minimum: { ...binary('minimum'), aliases: [0] },
  /** y = 1 if a > b else 0, broadcasting */
  greater: binary('greater'),
  /** y = 1 if a = b else 0, broadcasting */
  equal: binary('equal'),
  /** y = 0 if a = b else 1, broadcasting; NaN differs from everything */
  notEqual: binary('notEqual'),
  /** y = a where cond is not 0, else b, broadcasting all three */
  where: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([cond, a, b]) => [f32(broadcastShapes('where', cond.shape, broadcastShapes('where', a.shape, b.shape)))],
    flops: () => 0,
  },
  /** y = silu(a) * b, silu(a) = a / (1 + e^-a). Shazeer 2020, eq. 5. */
  swiGlu: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b]) => {
      expectShape('swiGlu', 'b', b, a.shape);
      return [a];
    },
    flops: ([a]) => 6 * sizeOf(a.shape),
  },
  /** a, b, g -> [da, db]: with s = sigmoid(a), da = g b s (1 + a (1 - s)), db = g a s. */
  swiGluBackward: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([a, b, g]) => {
      expectShape('swiGluBackward', 'b', b, a.shape);
      expectShape('swiGluBackward', 'g', g, a.shape);
      return [a, b];
    },
    flops: ([a]) => 12 * sizeOf(a.shape),
    aliases: [2, 1],
  },
} satisfies Entries;
