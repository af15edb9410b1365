/** @file Operations that move elements without changing them. */
import { checkTensor, describe, formatShape, type Shape, ShapeError, sizeOf, type Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/**
 * x under another shape, its elements in the same order. One size may be -1, which is whatever is left. No data moves.
 * @throws ShapeError if the number of elements differs
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkTensor('reshape: x', x);
  const unknown = Array.isArray(shape) ? shape.indexOf(-1) : -1;
  if (unknown < 0) return apply('reshape', [x], { shape });
  if (shape.lastIndexOf(-1) !== unknown) {
    throw new ShapeError(`reshape: shape ${formatShape(shape)} has -1 twice; only one size can be what is left`);
  }
  const known = sizeOf(shape.filter((_, i) => i !== unknown));
  if (known === 0 || x.size % known !== 0) {
    throw new ShapeError(`reshape: ${formatShape(x.shape)} holds ${x.size} elements, not a multiple of ${known}`);
  }
  return apply('reshape', [x], { shape: shape.map((d, i) => (i === unknown ? x.size / known : d)) });
}

/** @throws TypeError unless `xs` is a list, as axes, sizes and bounds are */
export function checkList(what: string, xs: unknown): asserts xs is readonly unknown[] {
  if (!Array.isArray(xs)) throw new TypeError(`${what} must be an array such as [0, 1], got ${describe(xs)}`);
}

/** Axis i of the result is axis perm[i] of x. Without perm the axes are reversed. @throws ShapeError unless perm names each axis once */
export function transpose(x: Tensor, perm?: readonly number[]): Tensor {
  checkTensor('transpose: x', x);
  if (perm !== undefined) checkList('transpose: perm', perm);
  return apply('transpose', [x], { perm: perm ?? x.shape.map((_, i) => x.rank - 1 - i) });
}

/** x repeated along its axes of size 1, and along new leading axes, to `shape`. @throws ShapeError if x does not fit */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor => apply('broadcastTo', [x], { shape });

/** x[begin[0]:end[0], begin[1]:end[1], ...]. Axes left out at the end are taken whole. @throws ShapeError if a bound lies outside x */
export function slice(x: Tensor, begin: readonly number[], end: readonly number[]): Tensor {
  checkTensor('slice: x', x);
  checkList('slice: begin', begin);
  checkList('slice: end', end);
  const whole = x.shape.slice(begin.length);
  return apply('slice', [x], { begin: [...begin, ...whole.map(() => 0)], end: [...end, ...whole] });
}

/** x surrounded by zeros: before[i] and after[i] of them on axis i. */
export const pad = (x: Tensor, before: readonly number[], after: readonly number[]): Tensor =>
  apply('pad', [x], { before, after });

/** The tensors one after the other along an axis, the first unless given; -1 is the last. @throws ShapeError if their other sizes differ */
export function concat(xs: readonly Tensor[], axis = 0): Tensor {
  if (!Array.isArray(xs)) throw new TypeError(`concat: takes an array of tensors, got ${describe(xs)}`);
  return apply('concat', xs, { axis: axis < 0 ? axis + (xs[0]?.rank ?? 0) : axis });
}
