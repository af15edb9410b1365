/** @file Contract of the kernels that move elements and compute nothing. */
import { broadcastShapes, checkShape, formatShape, sameShape, sizeOf } from '../shape.ts';
import { type Entries, expect, f32 } from './types.ts';

export const shape = {
  /** The same elements in the same order under another shape. A size of -1 is computed before, by the operation of autograd. */
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
} satisfies Entries;
