/** @file Contract of the reductions: sums, maxima and variances over axes. */
import { normalizeAxes, sizeOf } from '../shape.ts';
import { type Entries, expect, f32, type KernelEntry } from './types.ts';

const reduction = (op: string): KernelEntry<{ axes: readonly number[] }> => ({
  inputs: ['f32'],
  outputs: ([x], { axes }) => {
    const reduced = new Set(normalizeAxes(op, axes, x.shape.length));
    return [f32(x.shape.map((d, i) => (reduced.has(i) ? 1 : d)))];
  },
  flops: ([x]) => sizeOf(x.shape),
});

export const reduce = {
  /** Sum over `axes`, which stay with size 1. An empty sum is 0. */
  sum: reduction('sum'),
  /** Largest over `axes`, which stay with size 1; NaN if any is. The maximum of nothing is -Infinity. */
  max: reduction('max'),
  /** y = sum of x^2 over everything, a scalar */
  sumSquares: { inputs: ['f32'], outputs: () => [f32([])], flops: ([x]) => 2 * sizeOf(x.shape) },
  /** y = sum of (x - mean x)^2 / max(0, n - correction) over the last axis, which stays with size 1 */
  variance: {
    inputs: ['f32'],
    outputs: ([x]) => {
      expect(x.shape.length >= 1, () => 'variance: x needs at least one axis');
      return [f32([...x.shape.slice(0, -1), 1])];
    },
    flops: ([x]) => 4 * sizeOf(x.shape),
  },
} satisfies Entries;
