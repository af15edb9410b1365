/** @file Contract of the kernels on arrays: elementwise, reductions, shapes, products. */
import { broadcastShapes, checkShape, formatShape, normalizeAxes, sameShape, sizeOf } from '../shape.ts';
import { type Entries, expect, f32, type KernelEntry } from './types.ts';

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

const reduction = (op: string): KernelEntry<{ axes: readonly number[] }> => ({
  inputs: ['f32'],
  outputs: ([x], { axes }) => {
    const reduced = new Set(normalizeAxes(op, axes, x.shape.length));
    return [f32(x.shape.map((d, i) => (reduced.has(i) ? 1 : d)))];
  },
  flops: ([x]) => sizeOf(x.shape),
});

export const arrays: Entries<
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
  | 'where'
  | 'sum'
  | 'max'
  | 'sumSquares'
  | 'reshape'
  | 'transpose'
  | 'broadcastTo'
  | 'slice'
  | 'pad'
  | 'concat'
  | 'matmul'
> = {
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
  /** y = scale * x + shift */
  affine: unary,
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
  maximum: binary('maximum'),
  /** y = min(a, b), broadcasting; NaN if either is */
  minimum: binary('minimum'),
  /** y = 1 if a > b else 0, broadcasting */
  greater: binary('greater'),
  /** y = 1 if a = b else 0, broadcasting */
  equal: binary('equal'),
  /** y = a where cond is not 0, else b, broadcasting all three */
  where: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([cond, a, b]) => [f32(broadcastShapes('where', cond.shape, broadcastShapes('where', a.shape, b.shape)))],
    flops: () => 0,
  },

  /** Sum over `axes`, which stay with size 1. An empty sum is 0. */
  sum: reduction('sum'),
  /** Largest over `axes`, which stay with size 1; NaN if any is. The maximum of nothing is -Infinity. */
  max: reduction('max'),
  /** y = sum of x^2 over everything, a scalar */
  sumSquares: { inputs: ['f32'], outputs: () => [f32([])], flops: ([x]) => 2 * sizeOf(x.shape) },

  /** The same elements in the same order under another shape; one size may be -1 before it gets here, never here. */
  reshape: {
    inputs: ['f32'],
    outputs: ([x], { shape }) => {
      checkShape(shape, 'reshape');
      expect(
        sizeOf(x.shape) === sizeOf(shape),
        () =>
          `reshape: ${formatShape(x.shape)} holds ${sizeOf(x.shape)} elements, ${formatShape(shape)} needs ${sizeOf(shape)}`,
      );
      return [{ dtype: x.dtype, shape }];
    },
    flops: () => 0,
    view: true,
  },
  /** Axis i of the result is axis perm[i] of x. */
  transpose: {
    inputs: ['f32'],
    outputs: ([x], { perm }) => {
      expect(
        perm.length === x.shape.length && [...perm].sort((a, b) => a - b).every((p, i) => p === i),
        () =>
          `transpose: perm [${perm.join(',')}] is not an order of the ${x.shape.length} axes of ${formatShape(x.shape)}`,
      );
      return [f32(perm.map((p) => x.shape[p]))];
    },
    flops: () => 0,
  },
  /** x repeated along axes of size 1 (and new leading axes) to `shape`. */
  broadcastTo: {
    inputs: ['f32'],
    outputs: ([x], { shape }) => {
      checkShape(shape, 'broadcastTo');
      expect(
        sameShape(broadcastShapes('broadcastTo', x.shape, shape), shape),
        () => `broadcastTo: ${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`,
      );
      return [f32(shape)];
    },
    flops: () => 0,
  },
  /** x[begin[0]:end[0], begin[1]:end[1], ...] */
  slice: {
    inputs: ['f32'],
    outputs: ([x], { begin, end }) => {
      expect(
        begin.length === x.shape.length && end.length === x.shape.length,
        () => `slice: ${begin.length} bounds for the ${x.shape.length} axes of ${formatShape(x.shape)}`,
      );
      x.shape.forEach((d, i) => {
        expect(
          Number.isInteger(begin[i]) && Number.isInteger(end[i]) && 0 <= begin[i] && begin[i] <= end[i] && end[i] <= d,
          () => `slice: bounds ${begin[i]}:${end[i]} leave axis ${i} of ${formatShape(x.shape)}, which has size ${d}`,
        );
      });
      return [f32(x.shape.map((_, i) => end[i] - begin[i]))];
    },
    flops: () => 0,
  },
  /** x surrounded by zeros: before[i] and after[i] of them on axis i. */
  pad: {
    inputs: ['f32'],
    outputs: ([x], { before, after }) => {
      expect(
        before.length === x.shape.length &&
          after.length === x.shape.length &&
          [...before, ...after].every((p) => Number.isInteger(p) && p >= 0),
        () => `pad: bounds [${before.join(',')}] and [${after.join(',')}] do not fit ${formatShape(x.shape)}`,
      );
      return [f32(x.shape.map((d, i) => before[i] + d + after[i]))];
    },
    flops: () => 0,
  },
  /** The inputs one after the other along `axis`. */
  concat: {
    inputs: ['...f32'],
    outputs: (ins, { axis }) => {
      const [first] = ins;
      expect(
        Number.isInteger(axis) && axis >= 0 && axis < first.shape.length,
        () => `concat: axis ${axis} is out of range for ${formatShape(first.shape)}`,
      );
      let total = 0;
      for (const x of ins) {
        expect(
          x.shape.length === first.shape.length && x.shape.every((d, i) => i === axis || d === first.shape[i]),
          () => `concat: ${formatShape(first.shape)} and ${formatShape(x.shape)} differ outside axis ${axis}`,
        );
        total += x.shape[axis];
      }
      return [f32(first.shape.map((d, i) => (i === axis ? total : d)))];
    },
    flops: () => 0,
  },

  /**
   * Matrix product over the last two axes: y[..,i,j] = sum_l a[..,i,l] * b[..,l,j]; transposeA reads a as [..,K,M],
   * transposeB reads b as [..,N,K]. Leading axes must be equal.
   */
  matmul: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b], { transposeA, transposeB }) => {
      expect(
        a.shape.length >= 2 && b.shape.length >= 2,
        () => `matmul: needs matrices, got a ${formatShape(a.shape)} and b ${formatShape(b.shape)}`,
      );
      const [m, ka] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
      const [kb, n] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
      const text = () =>
        `a ${formatShape(a.shape)}${transposeA ? '^T' : ''} x b ${formatShape(b.shape)}${transposeB ? '^T' : ''}`;
      expect(ka === kb, () => `matmul: inner sizes differ, ${text()}: ${ka} != ${kb}`);
      const lead = a.shape.slice(0, -2);
      expect(sameShape(lead, b.shape.slice(0, -2)), () => `matmul: leading axes differ, ${text()}`);
      return [f32([...lead, m, n])];
    },
    flops: ([a], [y], { transposeA }) => 2 * sizeOf(y.shape) * a.shape.at(transposeA ? -2 : -1)!,
  },
};
