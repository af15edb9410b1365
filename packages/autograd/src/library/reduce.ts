/** @file Reductions out of sums and maxima, and positions of extremes. */
import {
  checkOptions,
  checkTensor,
  describe,
  formatShape,
  normalizeAxes,
  ShapeError,
  sizeOf,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';
import { abs, add, affine, cast, equal, exp, log, mul, neg, sqrt, square, sub, where } from '../ops/elementwise.ts';
import { dropped, max, over, type ReduceOptions, sum } from '../ops/reduce.ts';
import { concat, reshape, slice, transpose } from '../ops/shape.ts';
import { apply, stopGradient } from '../tape.ts';

/** Smallest element over the axes. Equal smallest elements share the gradient evenly. @throws ShapeError as `sum` */
export function min(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = over('min', x, options);
  return neg(max(neg(x), axes));
}

/**
 * Product over the axes, of nothing 1. It is multiplied in pairs, so that the gradient of an element is the product of the others, zeros
 * among them or not. @throws ShapeError if an axis is out of range or named twice
 */
export function prod(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { axes, keepDims } = over('prod', x, options);
  const shape = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const n = sizeOf(axes.map((i) => x.shape[i]));
  const [first = 0] = axes;
  const together = axes.every((axis, i) => axis === first + i);
  // Elements of one product are the middle axis: [outer, n, inner]. Axes with others between them come first.
  const kept = [...x.shape.keys()].filter((i) => !axes.includes(i));
  const outer = together ? sizeOf(x.shape.slice(0, first)) : 1;
  const inner = sizeOf(shape) / (outer || 1);
  let y = reshape(together ? x : transpose(x, [...axes, ...kept]), [outer, n, inner]);
  if (n === 0) y = affine(sum(y, { axes: 1, keepDims: true }), 0, 1);
  const part = (from: number, to: number) => slice(y, [0, from, 0], [outer, to, inner]);
  while (y.shape[1] > 1) {
    const size = y.shape[1];
    const half = Math.floor(size / 2);
    const pairs = mul(part(0, half), part(half, 2 * half));
    y = size % 2 === 0 ? pairs : concat([pairs, part(2 * half, size)], 1);
  }
  return dropped(reshape(y, shape), axes, keepDims);
}

/** The axes of `variance` and `std`, and what the sum is divided by. */
export interface VarianceOptions extends ReduceOptions {
  /** Taken off the number of elements that the sum is divided by: 1 as in PyTorch, 0 as in NumPy and JAX. 1 unless given. */
  correction?: number;
}

/**
 * Variance over the axes: sum of (x - mean)^2 / max(0, n - correction), so NaN of nothing. @throws ShapeError as `sum`
 */
export const variance = (x: Tensor, options: VarianceOptions = {}): Tensor => varianceOf('variance', x, options);

function varianceOf(op: string, x: Tensor, options: VarianceOptions): Tensor {
  const { axes, keepDims } = over(op, x, options, ['correction']);
  const { correction = 1 } = options;
  const kept = [...x.shape.keys()].filter((i) => !axes.includes(i));
  // The kernel wants the elements of one variance side by side: the reduced axes last.
  const last = axes.every((axis, i) => axis === kept.length + i) ? x : transpose(x, [...kept, ...axes]);
  const [rows, n] = [kept, axes].map((some) => sizeOf(some.map((i) => x.shape[i])));
  const y = apply('variance', [reshape(last, [rows, n])], { correction });
  const shape = x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
  return dropped(reshape(y, shape), axes, keepDims);
}

/** Standard deviation over the axes: the root of `variance`, with its options. Its gradient is not defined where that is 0. */
export const std = (x: Tensor, options: VarianceOptions = {}): Tensor => sqrt(varianceOf('std', x, options));

/**
 * Norm over the axes: `ord` 2 (unless given) the root of the sum of squares, 1 the sum of |x|, Infinity the largest |x|; of nothing 0. The gradient of
 * the first is not defined where it is 0. @throws TypeError for another ord, ShapeError as `sum`
 */
export function norm(x: Tensor, options: ReduceOptions & { ord?: 1 | 2 | number } = {}): Tensor {
  const axes = over('norm', x, options, ['ord']);
  const { ord = 2 } = options;
  if (ord === 2) return sqrt(sum(square(x), axes));
  const nothing = axes.axes.some((i) => x.shape[i] === 0);
  if (ord === 1 || (ord === Number.POSITIVE_INFINITY && nothing)) return sum(abs(x), axes);
  if (ord === Number.POSITIVE_INFINITY) return max(abs(x), axes);
  throw new TypeError(`norm: ord must be 1, 2 or Infinity, got ${describe(ord)}`);
}

/** ln of the sum of e^x over the axes, without overflow. @throws ShapeError as `sum` */
export function logsumexp(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { axes, keepDims } = over('logsumexp', x, options);
  const largest = stopGradient(max(x, { axes, keepDims: true }));
  // An infinite one must not be taken off itself.
  const shift = where(equal(affine(largest, 0), 0), largest, 0);
  const y = add(log(sum(exp(sub(x, shift)), { axes, keepDims: true })), shift);
  return dropped(y, axes, keepDims);
}

/**
 * Position of the largest element along an axis, or in all of x unless an axis is given: i32. The first of equal ones, and NaN is the
 * largest of all. It has no gradient. On a gpu backend it is made on the device: `await` its `read()`.
 * @throws ShapeError if the axis is out of range or has no elements
 */
export function argmax(x: Tensor, options: { axis?: number; keepDims?: boolean } = {}): Tensor {
  return positionOf('argmax', x, options);
}

/** Position of the smallest element: see `argmax`. NaN is the smallest of all. */
export function argmin(x: Tensor, options: { axis?: number; keepDims?: boolean } = {}): Tensor {
  checkTensor('argmin: x', x);
  return positionOf('argmin', neg(x), options);
}

function positionOf(op: string, x: Tensor, options: { axis?: number; keepDims?: boolean }): Tensor {
  checkTensor(`${op}: x`, x);
  checkOptions(op, options, ['axis', 'keepDims']);
  const { axis, keepDims = false } = options;
  const flat = axis === undefined ? reshape(x, [x.size]) : x;
  const [at] = normalizeAxes(op, [axis ?? 0], flat.rank);
  const n = flat.shape[at];
  if (n === 0) throw new ShapeError(`${op}: axis ${at} of ${formatShape(flat.shape)} has no elements`);
  if (n > 2 ** 24) throw new ShapeError(`${op}: axis ${at} has ${n} elements; places are exact up to 2^24`);
  const along = { axes: at, keepDims: true };
  // n for the first place down to 1 for the last: of the places that win, the largest is the first.
  const left = Float32Array.from({ length: n }, (_, i) => n - i);
  const line = flat.shape.map((_, i) => (i === at ? n : 1));
  const countdown = tensor(left, line, { backend: x.backend });
  // Where the largest is NaN, the elements that are NaN win.
  const winners = add(equal(flat, max(flat, along)), affine(equal(flat, flat), -1, 1));
  const position = affine(max(mul(winners, countdown), along), -1, n);
  const kept = axis === undefined ? x.shape.map(() => 1) : position.shape;
  return cast(keepDims ? reshape(position, kept) : dropped(position, [at], false), 'i32');
}
