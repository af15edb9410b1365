/** @file Shapes: checks, sizes, strides, broadcasting. */
import { describe } from './given.ts';

/** The sizes of a tensor's axes, outermost first. `[]` is a scalar. */
export type Shape = readonly number[];

/** Type of the elements: 32-bit floats, or 32-bit signed integers (ids, positions, interval bounds). */
export type DType = 'f32' | 'i32';

/** Sizes that do not fit each other. The message names the op, both shapes, and the numbers that clash. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** Number of elements: the product of the sizes (1 for a scalar). */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** A shape as it stands in messages: `[2,3]`. */
export const formatShape = (shape: Shape): string => `[${shape.join(',')}]`;

/** Whether two shapes have the same sizes in the same order. */
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** Row-major strides, in elements: stride[i] = product of the sizes after i. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/** Strides for reading `shape` as if it were `out`, which it broadcasts to: 0 along axes that it repeats. */
export function broadcastStrides(shape: Shape, out: Shape): number[] {
  const own = stridesOf(shape);
  const lead = out.length - shape.length;
  return out.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : own[i - lead]));
}

/** Axes to reduce as alternating runs: neighbours of one kind merged, axes of size 1 dropped. */
export function reducedRuns(shape: Shape, axes: readonly number[]): { size: number; reduced: boolean }[] {
  const among = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
  const runs: { size: number; reduced: boolean }[] = [];
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const reduced = among.has(axis);
    const last = runs.at(-1);
    if (last && last.reduced === reduced) last.size *= size;
    else runs.push({ size, reduced });
  });
  return runs;
}

/** @throws ShapeError unless every size is a whole number >= 0, TypeError for what is no array */
export function checkShape(shape: Shape, what: string): void {
  if (!Array.isArray(shape)) {
    throw new TypeError(`${what}: a shape is an array of sizes such as [2,3], got ${describe(shape)}`);
  }
  for (const d of shape) {
    if (!Number.isSafeInteger(d) || d < 0) {
      throw new ShapeError(`${what}: shape ${formatShape(shape)} has size ${d}; sizes are whole numbers >= 0`);
    }
  }
}

/**
 * The common shape of two operands: aligned at the last axis, sizes equal or one of them 1 (NumPy's rule).
 * @throws ShapeError naming both shapes and the two sizes that differ
 */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) {
      throw new ShapeError(
        `${op}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast: ${da} != ${db} on axis ${i - rank}`,
      );
    }
    out[i] = da === 1 ? db : da;
  }
  return out;
}

/**
 * Axes in 0..rank-1, sorted and unique; negative ones count from the end, `undefined` means all of them.
 * @throws ShapeError if an axis is out of range or named twice
 */
export function normalizeAxes(op: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  if (typeof axes !== 'number' && !Array.isArray(axes)) {
    throw new TypeError(`${op}: axes are a number or an array of numbers, got ${describe(axes)}`);
  }
  const list = (typeof axes === 'number' ? [axes] : (axes as readonly number[])).map((axis) => {
    if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
      throw new ShapeError(`${op}: axis ${axis} is out of range for rank ${rank}; use ${-rank}..${rank - 1}`);
    }
    return axis < 0 ? axis + rank : axis;
  });
  const unique = [...new Set(list)].sort((x, y) => x - y);
  if (unique.length !== list.length) throw new ShapeError(`${op}: axis named twice in [${list.join(',')}]`);
  return unique;
}
