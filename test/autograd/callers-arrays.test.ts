/** @file A caller's arrays are read when they are handed over. What becomes of them later changes no tensor and no gradient. */
import * as ag from '@blt-ts/autograd';
import { full, ones, Random, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

/** Makers of tensors [2,2] from a shape. */
const makers: Record<string, (shape: number[]) => Tensor> = {
  tensor: (shape) => tensor([1, 2, 3, 4], shape),
  zeros,
  ones,
  full: (shape) => full(shape, 3),
  'a large full': (shape) => full(shape, 3),
  reshape: (shape) => ag.reshape(tensor([1, 2, 3, 4]), shape),
  broadcastTo: (shape) => ag.broadcastTo(tensor([1, 2]), shape),
  randomNormal: (shape) => ag.randomNormal(new Random(1), shape),
  randomUniform: (shape) => ag.randomUniform(new Random(1), shape),
};
test.each(Object.entries(makers))('%s keeps its shape when the array of it changes', (name, make) => {
  const shape = name === 'a large full' ? [100, 100] : [2, 2];
  const before = [...shape];
  const x = make(shape);
  const sum = ag.sum(x).item();
  shape[0] = 3000;
  shape.push(7);
  expect(x.shape).toEqual(before);
  expect(ag.sum(x).item()).toBe(sum);
  expect(() => (x.shape as number[]).push(3)).toThrow(TypeError);
});

const weights = tensor([
  [1, 2],
  [3, 4],
]);
/** Operations whose arguments are arrays: each changes them after the call. */
const calls: Record<string, (x: Tensor) => Tensor> = {
  concat(x) {
    const parts = [ag.mul(x, 2), ag.mul(x, 3)];
    const y = ag.concat(parts);
    parts.length = 0;
    return ag.sum(y);
  },
  stack(x) {
    const parts = [ag.mul(x, 2), ag.mul(x, 3)];
    const y = ag.stack(parts);
    parts.reverse();
    return ag.sum(ag.mul(y, tensor([[[1]], [[10]]])));
  },
  transpose(x) {
    const perm = [1, 0];
    const y = ag.transpose(x, perm);
    perm.reverse();
    return ag.sum(ag.mul(y, weights));
  },
  pad(x) {
    const [before, after] = [
      [1, 0],
      [0, 1],
    ];
    const y = ag.pad(x, before, after);
    before[0] = 0;
    after[0] = 1;
    return ag.sum(
      ag.mul(
        y,
        tensor(
          Float32Array.from({ length: 9 }, (_, i) => 10 ** (i % 5)),
          [3, 3],
        ),
      ),
    );
  },
  slice(x) {
    const [begin, end] = [
      [0, 0],
      [1, 2],
    ];
    const y = ag.slice(x, begin, end);
    begin[0] = 1;
    end[0] = 2;
    return ag.sum(y);
  },
  sum(x) {
    const axes = [0];
    const y = ag.sum(x, { axes });
    axes[0] = 1;
    return ag.sum(ag.mul(y, tensor([1, 10])));
  },
  broadcastTo(x) {
    const shape = [3, 2, 2];
    const y = ag.broadcastTo(x, shape);
    shape[0] = 7;
    return ag.sum(y);
  },
};
/** The same without a change. Numbers by hand. */
const GRADIENTS: Record<string, number[]> = {
  concat: [5, 5, 5, 5],
  stack: [32, 32, 32, 32],
  transpose: [1, 3, 2, 4],
  pad: [1000, 10000, 10, 100],
  slice: [1, 1, 0, 0],
  sum: [1, 10, 1, 10],
  broadcastTo: [3, 3, 3, 3],
};
describe('the gradient', () => {
  test.each(Object.entries(calls))('of %s is that of the call', (name, f) => {
    expect([...ag.grad(f)(weights).readSync()]).toEqual(GRADIENTS[name]);
  });
});

test('a tensor in the place of something else is said to be a tensor', () => {
  const a = ones([2]);
  for (const f of [
    () => ag.concat(a as never, a as never),
    () => ag.reshape(a, a as never),
    () => ag.transpose(a, a as never),
    () => ag.affine(a, a as never),
    () => ag.sum(a, a as never),
    () => zeros(a as never),
  ]) {
    expect(f).toThrow(/a tensor$|a tensor /);
    expect(f).not.toThrow('another copy');
  }
});

test('a wrong dtype is refused with the remedy', () => {
  const ids = tensor(new Int32Array([1, 2]));
  expect(() => ag.equal(ids, ids)).toThrow("equal: input 0 must be f32, got i32 [2]; cast(x, 'f32') of it is");
});

test('variances of too few elements are no numbers, and never negative', () => {
  expect(ag.variance(zeros([0])).item()).toBeNaN();
  expect([...ag.variance(zeros([0, 3]), { axes: 0 }).readSync()]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  expect(ag.variance(tensor([1])).item()).toBeNaN();
  expect(ag.variance(tensor([1, 2]), { correction: 3 }).item()).toBe(Number.POSITIVE_INFINITY);
  expect(ag.std(zeros([0])).item()).toBeNaN();
});

test('a convolution of no images is no images', () => {
  expect(ag.conv2d(zeros([0, 1, 4, 4]), ones([2, 1, 3, 3])).shape).toEqual([0, 2, 2, 2]);
  expect(ag.conv1d(zeros([0, 1, 4]), ones([2, 1, 3])).shape).toEqual([0, 2, 2]);
});
