/** @file Comparisons and logic: 1 for true, 0 for false, and no gradient. Operands broadcast; a comparison with NaN is false, but for `notEqual`. */
import { checkOptions, checkTensor, type Tensor } from '@blt-ts/tensor';
import { abs, affine, equal, greater, maximum, mul, notEqual, type Operand, pair, sub } from '../ops/elementwise.ts';
import { over, type ReduceOptions, sum } from '../ops/reduce.ts';

/** 1 where a < b, else 0 */
export function less(a: Operand, b: Operand): Tensor {
  const [x, y] = pair('less', a, b);
  return greater(y, x);
}
/** 1 where a >= b, else 0 */
export function greaterEqual(a: Operand, b: Operand): Tensor {
  const [x, y] = pair('greaterEqual', a, b);
  return maximum(greater(x, y), equal(x, y));
}
/** 1 where a <= b, else 0 */
export function lessEqual(a: Operand, b: Operand): Tensor {
  const [x, y] = pair('lessEqual', a, b);
  return greaterEqual(y, x);
}

/** 1 where x is 0, else 0 */
export function logicalNot(x: Tensor): Tensor {
  checkTensor('logicalNot: x', x);
  return equal(x, 0);
}
/** 1 where neither a nor b is 0, else 0 */
export function logicalAnd(a: Tensor, b: Tensor): Tensor {
  const [x, y] = pair('logicalAnd', a, b);
  return mul(notEqual(x, 0), notEqual(y, 0));
}
/** 1 where a or b is not 0, else 0 */
export function logicalOr(a: Tensor, b: Tensor): Tensor {
  const [x, y] = pair('logicalOr', a, b);
  return maximum(notEqual(x, 0), notEqual(y, 0));
}

/** 1 where no element over the axes is 0, else 0; of nothing 1. @throws ShapeError as `sum` */
export function all(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = over('all', x, options);
  return equal(sum(logicalNot(x), axes), 0);
}
/** 1 where an element over the axes is not 0, else 0; of nothing 0. @throws ShapeError as `sum` */
export function any(x: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = over('any', x, options);
  return greater(sum(notEqual(x, 0), axes), 0);
}

/**
 * Whether |a - b| <= atol + rtol |b| everywhere, or a = b (infinities). It reads the values at once.
 * @throws Error on a gpu backend, whose values cannot be read at once; ShapeError if a and b do not broadcast
 */
export function allclose(a: Tensor, b: Tensor, options: { rtol?: number; atol?: number } = {}): boolean {
  checkOptions('allclose', options, ['rtol', 'atol']);
  checkTensor('allclose: a', a);
  checkTensor('allclose: b', b);
  const { rtol = 1e-5, atol = 1e-8 } = options;
  const gap = abs(sub(a, b));
  const near = mul(less(gap, Number.POSITIVE_INFINITY), lessEqual(gap, affine(abs(b), rtol, atol)));
  return all(logicalOr(near, equal(a, b))).item() === 1;
}
