/** @file Reductions, and broadcasting undone: the one place where a gradient is summed back to the shape it came from. */
import {
  checkOptions,
  checkTensor,
  formatShape,
  normalizeAxes,
  type Shape,
  ShapeError,
  sameShape,
  type Tensor,
} from '@blt-ts/tensor';
import { apply } from '../tape.ts';
import { div, square, sub } from './elementwise.ts';
import { reshape } from './shape.ts';

/** The axes of a reduction, and whether they stay. */
export interface ReduceOptions {
  /** Axes to reduce, all by default. Negative ones count from the end. */
  axes?: number | readonly number[];
  /** Keep the reduced axes with size 1. */
  keepDims?: boolean;
}

/** The axes of a reduction, in its own name. @throws TypeError, ShapeError */
export function over(op: string, x: Tensor, options: ReduceOptions, more: readonly string[] = []) {
  checkTensor(`${op}: x`, x);
  checkOptions(op, options, ['axes', 'keepDims', ...more]);
  return { axes: normalizeAxes(op, options.axes, x.rank), keepDims: options.keepDims ?? false };
}

/** `y`, whose `axes` have size 1, without them unless they are kept. */
export function dropped(y: Tensor, axes: readonly number[], keepDims: boolean): Tensor {
  if (keepDims) return y;
  const shape = y.shape.filter((_, i) => !axes.includes(i));
  return reshape(y, shape);
}

function reduce(kernel: 'sum' | 'max', x: Tensor, options: ReduceOptions, op: string = kernel): Tensor {
  const { axes, keepDims } = over(op, x, options);
  return dropped(apply(kernel, [x], { axes }), axes, keepDims);
}

/** Sum over the axes: x [2,3], axes 0 -> [3]. @throws ShapeError if an axis is out of range or named twice */
export const sum = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce('sum', x, options);

/** Largest element over the axes. Equal largest elements share the gradient evenly. @throws ShapeError as `sum` */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce('max', x, options);

/** Arithmetic mean over the axes. @throws ShapeError as `sum` */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const y = reduce('sum', x, options, 'mean');
  return div(y, x.size / y.size);
}

/** Sum of the squares of all elements, a scalar. */
export const sumSquares = (x: Tensor): Tensor => apply('sumSquares', [x], {});

/** Mean of the squares of x - y, a scalar. @throws ShapeError unless both have one shape */
export function meanSquaredError(x: Tensor, y: Tensor): Tensor {
  checkTensor('meanSquaredError: x', x);
  checkTensor('meanSquaredError: y', y);
  if (!sameShape(x.shape, y.shape)) {
    throw new ShapeError(`meanSquaredError: shapes ${formatShape(x.shape)} and ${formatShape(y.shape)} differ`);
  }
  return div(sum(square(sub(x, y))), x.size);
}

/** Sums g over the axes along which `shape` was repeated to g's shape: the way back of `broadcastTo`. */
export function unbroadcast(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const repeated = (size: number, i: number) => i < lead || (shape[i - lead] === 1 && size !== 1);
  const axes = g.shape.flatMap((size, i) => (repeated(size, i) ? [i] : []));
  return reshape(sum(g, { axes }), shape);
}
