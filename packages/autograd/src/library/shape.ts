/** @file Axes added, dropped, moved, joined, cut, turned round and repeated. */
import { checkTensor, describe, formatShape, normalizeAxes, ShapeError, sizeOf, type Tensor } from '@blt-ts/tensor';
import { takeAt } from '../ops/axis.ts';
import { dropped } from '../ops/reduce.ts';
import { broadcastTo, checkList, concat, reshape, slice, transpose } from '../ops/shape.ts';

/** One axis, counted from the end if negative. @throws ShapeError if it is out of range for `rank` */
const one = (op: string, axis: number, rank: number): number => normalizeAxes(op, [axis], rank)[0];

/** x without its axes of size 1, or without those named. @throws ShapeError if one named has another size */
export function squeeze(x: Tensor, axes?: number | readonly number[]): Tensor {
  checkTensor('squeeze: x', x);
  const ones = normalizeAxes('squeeze', axes, x.rank).filter((i) => axes !== undefined || x.shape[i] === 1);
  const wrong = ones.find((i) => x.shape[i] !== 1);
  if (wrong !== undefined) {
    throw new ShapeError(`squeeze: axis ${wrong} of ${formatShape(x.shape)} has size ${x.shape[wrong]}, not 1`);
  }
  return dropped(x, ones, false);
}

/** x with a new axis of size 1 at place `axis` of the result: [2,3], 1 -> [2,1,3]. NumPy and JAX call it `expand_dims`. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  checkTensor('unsqueeze: x', x);
  const at = one('unsqueeze', axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Axes `from` .. `to` of x as one, all of them unless said: [2,3,4] -> [24]. @throws ShapeError if one is out of range */
export function flatten(x: Tensor, from = 0, to = -1): Tensor {
  checkTensor('flatten: x', x);
  if (x.rank === 0) return reshape(x, [1]);
  const [begin, end] = [one('flatten', from, x.rank), one('flatten', to, x.rank) + 1];
  if (end <= begin) throw new ShapeError(`flatten: axis ${begin} comes after axis ${end - 1}`);
  return reshape(x, [...x.shape.slice(0, begin), sizeOf(x.shape.slice(begin, end)), ...x.shape.slice(end)]);
}

/** x with axis `from` at place `to`, the others in their order: [2,3,4], 0, -1 -> [3,4,2]. @throws ShapeError if one is out of range */
export function moveaxis(x: Tensor, from: number, to: number): Tensor {
  checkTensor('moveaxis: x', x);
  const [source, target] = [one('moveaxis', from, x.rank), one('moveaxis', to, x.rank)];
  const perm = [...x.shape.keys()].filter((i) => i !== source);
  perm.splice(target, 0, source);
  return transpose(x, perm);
}

/** x with two axes exchanged: [2,3,4], 0, 2 -> [4,3,2]. @throws ShapeError if one is out of range */
export function swapaxes(x: Tensor, a: number, b: number): Tensor {
  checkTensor('swapaxes: x', x);
  const [i, j] = [one('swapaxes', a, x.rank), one('swapaxes', b, x.rank)];
  const perm = [...x.shape.keys()].map((k) => (k === i ? j : k === j ? i : k));
  return transpose(x, perm);
}

/** The tensors along a new axis: two of [3], axis 0 -> [2,3]. @throws ShapeError if their shapes differ */
export function stack(xs: readonly Tensor[], axis = 0): Tensor {
  if (!Array.isArray(xs)) throw new TypeError(`stack: takes an array of tensors, got ${describe(xs)}`);
  xs.forEach((x, i) => {
    checkTensor(`stack: input ${i}`, x);
    if (formatShape(x.shape) !== formatShape(xs[0].shape)) {
      throw new ShapeError(`stack: input 0 is ${formatShape(xs[0].shape)}, input ${i} is ${formatShape(x.shape)}`);
    }
  });
  if (xs.length === 0) throw new TypeError('stack: takes at least 1 tensors, got 0');
  const at = one('stack', axis, xs[0].rank + 1);
  const parts = xs.map((x) => unsqueeze(x, at));
  return concat(parts, at);
}

/**
 * x cut along an axis, the first unless given: into so many equal parts, or into parts of the sizes given.
 * @throws ShapeError if the size of the axis is no multiple of the parts, or not the sum of the sizes
 */
export function split(x: Tensor, parts: number | readonly number[], axis = 0): Tensor[] {
  checkTensor('split: x', x);
  const at = one('split', axis, x.rank);
  const size = x.shape[at];
  if (typeof parts !== 'number') checkList('split: parts', parts);
  const sizes = typeof parts === 'number' ? Array.from({ length: parts }, () => size / parts) : parts;
  if (sizes.some((s) => !Number.isInteger(s) || s < 0) || sizes.reduce((a, b) => a + b, 0) !== size) {
    const wanted = typeof parts === 'number' ? `${parts} equal parts` : `parts of [${parts.join(',')}]`;
    throw new ShapeError(`split: axis ${at} of ${formatShape(x.shape)} cannot be cut into ${wanted}`);
  }
  let begin = 0;
  return sizes.map((part) => {
    const from = begin;
    begin += part;
    const bounds = (bound: number, of: (d: number) => number) => x.shape.map((d, i) => (i === at ? bound : of(d)));
    const [least, most] = [bounds(from, () => 0), bounds(begin, (d) => d)];
    return slice(x, least, most);
  });
}

/** x with the order of its elements turned round along the axes, all of them unless given. @throws ShapeError as `sum` */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  checkTensor('flip: x', x);
  const start = reshape(x, x.shape);
  return normalizeAxes('flip', axes, x.rank).reduce((y, axis) => {
    return takeAt(y, axis, x.shape[axis], (i) => x.shape[axis] - 1 - i);
  }, start);
}

/** Repeats runs of x: x as [outer, 1, inner], the middle axis n times. */
function repeated(x: Tensor, outer: number, inner: number, n: number, shape: readonly number[]): Tensor {
  return reshape(broadcastTo(reshape(x, [outer, 1, inner]), [outer, n, inner]), shape);
}

const checkCount = (op: string, n: number): void => {
  if (!Number.isInteger(n) || n < 0) throw new ShapeError(`${op}: ${n} repetitions; give a whole number >= 0`);
};

/**
 * x so many times along each axis: [2,3], [1,2] -> [2,6] with its rows twice. One number of repetitions for each axis.
 * @throws ShapeError unless there are as many as axes
 */
export function tile(x: Tensor, repetitions: readonly number[]): Tensor {
  checkTensor('tile: x', x);
  checkList('tile: repetitions', repetitions);
  if (repetitions.length !== x.rank) {
    throw new ShapeError(`tile: ${repetitions.length} repetitions for the ${x.rank} axes of ${formatShape(x.shape)}`);
  }
  const start = reshape(x, x.shape);
  return repetitions.reduce((y, n, axis) => {
    checkCount('tile', n);
    if (n === 1) return y;
    const shape = y.shape.map((d, i) => (i === axis ? d * n : d));
    return repeated(y, sizeOf(y.shape.slice(0, axis)), sizeOf(y.shape.slice(axis)), n, shape);
  }, start);
}

/**
 * Each element n times in a row along an axis, the first unless given: [1,2], 2 -> [1,1,2,2]. NumPy and JAX call it `repeat`, and flatten x unless they
 * get an axis; PyTorch calls it `repeat_interleave`.
 * @throws ShapeError if n is no whole number >= 0, or the axis is out of range
 */
export function repeat(x: Tensor, n: number, axis = 0): Tensor {
  checkTensor('repeat: x', x);
  checkCount('repeat', n);
  const at = one('repeat', axis, x.rank);
  const shape = x.shape.map((d, i) => (i === at ? d * n : d));
  return repeated(x, sizeOf(x.shape.slice(0, at + 1)), sizeOf(x.shape.slice(at + 1)), n, shape);
}
