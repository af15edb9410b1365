/** @file Operations along one axis: running sums, order, elements by their positions. The last axis unless said, as a kernel sees it. */
import {
  checkOptions,
  checkTensor,
  createReferenceBackend,
  formatShape,
  normalizeAxes,
  run,
  ShapeError,
  scope,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';
import { apply } from '../tape.ts';
import { cast } from './elementwise.ts';
import { reshape, transpose } from './shape.ts';

/** The order of the axes that brings `axis` to the end, undefined where it is there. @throws ShapeError if it is out of range */
function toLast(op: string, x: Tensor, axis: number): number[] | undefined {
  checkTensor(`${op}: x`, x);
  const [at] = normalizeAxes(op, [axis], x.rank);
  if (at === x.rank - 1) return undefined;
  return [...x.shape.keys()].filter((i) => i !== at).concat(at);
}

const inverse = (perm: readonly number[]): number[] => perm.map((_, i) => perm.indexOf(i));

/** Runs `f` on x with `axis` as the last one, and puts the axis of the result back. */
function alongAxis(op: string, x: Tensor, axis: number, f: (x: Tensor) => Tensor): Tensor {
  const perm = toLast(op, x, axis);
  return perm ? transpose(f(transpose(x, perm)), inverse(perm)) : f(x);
}

/** i32 ids with their axes in another order, by way of the host, where ids are known on every backend. */
export function transposeIds(ids: Tensor, perm: readonly number[]): Tensor {
  const { backend } = ids;
  return scope(() => {
    const exact = tensor(Float64Array.from(ids.readSync()), ids.shape, {
      backend: createReferenceBackend({ precision: 'f64' }),
    });
    const [moved] = run('transpose', [exact], { perm });
    return tensor(Int32Array.from(moved.readSync()), moved.shape, { backend });
  });
}

/**
 * Running sums along an axis, the last unless given: y[.., j, ..] = sum of x[.., i, ..] over i <= j, or with `reverse` over i >= j.
 * @throws ShapeError if the axis is out of range
 */
export function cumsum(x: Tensor, options: { axis?: number; reverse?: boolean } = {}): Tensor {
  checkOptions('cumsum', options, ['axis', 'reverse']);
  const { axis = -1, reverse = false } = options;
  return alongAxis('cumsum', x, axis, (last) => apply('cumsum', [last], { reverse }));
}

/** The order of `sort`, `argsort` and `topk`. */
export interface SortOptions {
  /** -1, the last one, unless given. */
  axis?: number;
  /** The largest first. */
  descending?: boolean;
}

/** Positions, i32, of the first `count` elements in order along the last axis. */
const positions = (x: Tensor, descending: boolean, count: number): Tensor =>
  apply('argsort', [x], { descending, count });

/**
 * Positions that sort x along an axis, i32 of the shape of x. Stable: equal elements stay in their order. NaN counts as the largest.
 * It has no gradient. On a gpu backend the positions are made on the device: `await` their `read()`.
 * @throws ShapeError if the axis is out of range
 */
export function argsort(x: Tensor, options: SortOptions = {}): Tensor {
  checkOptions('argsort', options, ['axis', 'descending']);
  const { axis = -1, descending = false } = options;
  const perm = toLast('argsort', x, axis);
  if (!perm) return positions(x, descending, x.shape[x.rank - 1]);
  return putBack('argsort', positions(transpose(x, perm), descending, x.shape[perm[perm.length - 1]]), perm, x);
}

/** Positions with their axis where it was, by way of floats. @throws ShapeError for positions that no float holds */
function putBack(op: string, order: Tensor, perm: readonly number[], { shape }: Tensor): Tensor {
  const size = shape[perm[perm.length - 1]];
  if (size > 2 ** 24) throw new ShapeError(`${op}: the axis has ${size} elements; places are exact up to 2^24`);
  return cast(transpose(cast(order, 'f32'), inverse(perm)), 'i32');
}

/**
 * x sorted along an axis: y = x[argsort(x)]. Each element's gradient goes to where it came from.
 * @throws ShapeError if the axis is out of range
 */
export function sort(x: Tensor, options: SortOptions = {}): Tensor {
  checkOptions('sort', options, ['axis', 'descending']);
  const { axis = -1, descending = false } = options;
  return alongAxis('sort', x, axis, (last) =>
    apply('gatherAxis', [last, positions(last, descending, last.shape[last.rank - 1])], {}),
  );
}

/**
 * The k largest elements along an axis, largest first, and their positions: x [.., n, ..] -> values and i32 indices [.., k, ..]. Values
 * have a gradient, indices have none.
 * @param options `largest: false` for the smallest
 * @throws ShapeError if the axis is out of range, or k is not in 0..n
 */
export function topk(
  x: Tensor,
  k: number,
  options: { axis?: number; largest?: boolean } = {},
): { values: Tensor; indices: Tensor } {
  checkOptions('topk', options, ['axis', 'largest']);
  const { axis = -1, largest = true } = options;
  const perm = toLast('topk', x, axis);
  const last = perm ? transpose(x, perm) : x;
  const size = last.shape[last.rank - 1];
  if (!(Number.isInteger(k) && k >= 0 && k <= size)) {
    throw new ShapeError(`topk: k ${k} is not in 0..${size}, the size of the axis of ${formatShape(x.shape)}`);
  }
  const order = positions(last, largest, k);
  const values = apply('gatherAxis', [last, order], {});
  if (!perm) return { values, indices: order };
  return { values: transpose(values, inverse(perm)), indices: putBack('topk', order, perm, x) };
}

/**
 * Elements by their positions along an axis, the last unless given: x [.., n, ..], ids [.., m, ..] i32 -> [.., m, ..], y[.., j, ..] = x[.., ids[.., j, ..], ..].
 * PyTorch calls it `gather`, NumPy and JAX `take_along_axis`.
 * @throws ShapeError if x and ids differ outside the axis; RangeError naming the first id outside 0..n-1
 */
export function gather(x: Tensor, ids: Tensor, axis = -1): Tensor {
  checkTensor('gather: ids', ids);
  const perm = toLast('gather', x, axis);
  if (!perm || ids.rank !== x.rank || ids.dtype !== 'i32') return apply('gatherAxis', [x, ids], {});
  return transpose(apply('gatherAxis', [transpose(x, perm), transposeIds(ids, perm)], {}), inverse(perm));
}

/**
 * Values added up by positions along an axis, the last unless given: values and ids [.., m, ..] -> [.., size, ..], where y[.., k, ..] is the sum of the
 * values[.., j, ..] with ids[.., j, ..] = k. The gradient of `gather`. Added to x it is PyTorch's `x.scatter_add(axis, ids, values)`.
 * @throws ShapeError if values and ids differ; RangeError naming the first id outside 0..size-1
 */
export function scatterAdd(values: Tensor, ids: Tensor, size: number, axis = -1): Tensor {
  checkTensor('scatterAdd: ids', ids);
  const perm = toLast('scatterAdd', values, axis);
  if (!perm || ids.rank !== values.rank || ids.dtype !== 'i32') return apply('scatterAddAxis', [values, ids], { size });
  const summed = apply('scatterAddAxis', [transpose(values, perm), transposeIds(ids, perm)], { size });
  return transpose(summed, inverse(perm));
}

/**
 * Slices of x by their positions along an axis, the first unless given: x [.., n, ..], ids of any shape S, i32 -> [.., ...S, ..]. The same ids for all that lies
 * beside the axis. PyTorch calls it `index_select`, NumPy and JAX `take`. @throws RangeError naming the first id outside 0..n-1
 */
export function take(x: Tensor, ids: Tensor, axis = 0): Tensor {
  checkTensor('take: ids', ids);
  checkTensor('take: x', x);
  const [at] = normalizeAxes('take', [axis], x.rank);
  const [lead, tail] = [x.shape.slice(0, at), x.shape.slice(at + 1)];
  const [outer, inner] = [lead, tail].map((sizes) => sizes.reduce((a, b) => a * b, 1));
  const flat = reshape(ids, [ids.size]);
  const shape = [...lead, ...ids.shape, ...tail];
  if (outer === 1) return reshape(apply('gatherRows', [reshape(x, [x.shape[at], inner]), flat], {}), shape);
  // Rows of the matrix [n, outer * inner], whose columns go back to where they belong.
  const rows = transpose(reshape(x, [outer, x.shape[at], inner]), [1, 0, 2]);
  const taken = apply('gatherRows', [reshape(rows, [x.shape[at], outer * inner]), flat], {});
  return reshape(transpose(reshape(taken, [ids.size, outer, inner]), [1, 0, 2]), shape);
}

/** `count` slices of x along an axis: those at place(0), place(1), ... */
export function takeAt(x: Tensor, axis: number, count: number, place: (i: number) => number): Tensor {
  const ids = Int32Array.from({ length: count }, (_, i) => place(i));
  return take(x, tensor(ids, undefined, { backend: x.backend }), axis);
}
