/** @file Reductions, and broadcasting undone: the one place where a gradient is summed back to the shape it came from. */
import { checkOptions, checkTensor, normalizeAxes, type Shape, sameShape, type Tensor } from '@blt-ts/tensor';
import { type Rules, reading, readingNothing } from '../rule.ts';
import { apply } from '../tape.ts';
import { affine, div, equal, mul } from './elementwise.ts';
import { broadcastTo, reshape } from './shape.ts';

export interface ReduceOptions {
  /** Which axes (all by default); negative ones count from the end. */
  axes?: number | readonly number[];
  /** Keep the reduced axes with size 1. */
  keepDims?: boolean;
}

function reduce(kernel: 'sum' | 'max', x: Tensor, options: ReduceOptions, op: string = kernel): Tensor {
  checkTensor(`${op}: x`, x);
  checkOptions(op, options, ['axes', 'keepDims']);
  const { axes, keepDims = false } = options;
  const reduced = normalizeAxes(op, axes, x.rank);
  const y = apply(kernel, [x], { axes: reduced });
  if (keepDims) return y;
  return reshape(
    y,
    y.shape.filter((_, i) => !reduced.includes(i)),
  );
}

/** Sum over the axes. */
export const sum = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce('sum', x, options);

/** Largest element over the axes; equal largest elements share the gradient evenly. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce('max', x, options);

/** Arithmetic mean over the axes. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const y = reduce('sum', x, options, 'mean');
  return affine(y, y.size / x.size);
}

/** Sum of the squares of all elements, a scalar. */
export const sumSquares = (x: Tensor): Tensor => apply('sumSquares', [x], {});

/** Sums g over the axes along which `shape` was repeated to g's shape. */
export function unbroadcast(g: Tensor, shape: Shape): Tensor {
  if (sameShape(g.shape, shape)) return g;
  const lead = g.rank - shape.length;
  const repeated = (size: number, i: number) => i < lead || (shape[i - lead] === 1 && size !== 1);
  const axes = g.shape.flatMap((size, i) => (repeated(size, i) ? [i] : []));
  return reshape(sum(g, { axes }), shape);
}

export const reduceRules: Rules<'sum' | 'max' | 'sumSquares'> = {
  sum: readingNothing((g, _, [x]) => [broadcastTo(g, x.shape)]),
  max: (g, [y], [x], { axes }) => {
    const winners = equal(x, y);
    return [mul(winners, div(g, sum(winners, { axes, keepDims: true })))];
  },
  sumSquares: reading({ ins: [0], outs: false }, (g, _, [x]) => [mul(affine(x, 2), g)]),
};
