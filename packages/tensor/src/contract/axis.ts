/** @file Contract of the kernels that work along the last axis: running sums, order, elements by their positions. */
import { checkShape, formatShape, sameShape, sizeOf } from '../shape.ts';
import { type Entries, expect, f32, type Spec } from './types.ts';

const lastOf = ({ shape }: Spec): number => shape[shape.length - 1];
const withLast = ({ shape }: Spec, size: number): number[] => [...shape.slice(0, -1), size];

const expectAxis = (op: string, x: Spec): void => expect(x.shape.length > 0, () => `${op}: x needs at least one axis`);

function expectRows(op: string, x: Spec, ids: Spec): void {
  expectAxis(op, x);
  expect(
    x.shape.length === ids.shape.length && sameShape(x.shape.slice(0, -1), ids.shape.slice(0, -1)),
    () => `${op}: x ${formatShape(x.shape)} and ids ${formatShape(ids.shape)} differ outside the axis`,
  );
}

export const axis = {
  /** y[.., j] = sum of x[.., i] over i <= j, or with `reverse` over i >= j, kept in 64 bits where there are such. */
  cumsum: {
    inputs: ['f32'],
    outputs: ([x]) => {
      expectAxis('cumsum', x);
      return [x];
    },
    flops: ([x]) => sizeOf(x.shape),
  },
  /**
   * x [.., n] -> i32 [.., count]: the positions of the `count` smallest elements, smallest first, or with `descending` of the largest,
   * largest first. Equal elements stay in the order of their positions. NaN counts as larger than all others.
   */
  argsort: {
    inputs: ['f32'],
    outputs: ([x], { count }) => {
      expectAxis('argsort', x);
      expect(
        Number.isInteger(count) && count >= 0 && count <= lastOf(x),
        () => `argsort: count ${count} is not in 0..${lastOf(x)}, the size of the axis of ${formatShape(x.shape)}`,
      );
      return [{ dtype: 'i32', shape: withLast(x, count) }];
    },
    made: ([x]) => lastOf(x),
    flops: () => 0,
  },
  /** x [.., n], ids [.., m] -> y [.., m], y[.., j] = x[.., ids[.., j]]. */
  gatherAxis: {
    inputs: ['f32', 'i32'],
    outputs: ([x, ids]) => {
      expectRows('gather', x, ids);
      return [f32(ids.shape)];
    },
    indices: [{ input: 1, name: 'id', end: ([x]) => lastOf(x) }],
    flops: () => 0,
  },
  /** x [.., m], ids [.., m] -> y [.., size], y[.., k] = sum of x[.., j] over the j with ids[.., j] = k, in rising j. */
  scatterAddAxis: {
    inputs: ['f32', 'i32'],
    outputs: ([x, ids], { size }) => {
      expectRows('scatterAdd', x, ids);
      expect(
        sameShape(x.shape, ids.shape),
        () => `scatterAdd: values ${formatShape(x.shape)} and ids ${formatShape(ids.shape)} differ`,
      );
      checkShape([size], 'scatterAdd');
      return [f32(withLast(x, size))];
    },
    indices: [{ input: 1, name: 'id', end: (_, { size }) => size }],
    flops: ([x]) => sizeOf(x.shape),
  },
} satisfies Entries;
