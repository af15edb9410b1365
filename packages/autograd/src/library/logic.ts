/** @file Comparisons and logic: 1 for true, 0 for false, and no gradient. Operands broadcast; a comparison with NaN is false, but for `notEqual`. */
import { checkOptions, type Tensor } from '@blt-ts/tensor';
import { abs, add, affine, equal, greater, maximum, mul, type Operand, sub } from '../ops/elementwise.ts';
import { type ReduceOptions, sum } from '../ops/reduce.ts';
import { over } from './reduce.ts';

/** 1 where a < b, else 0 */
export const less = (a: Operand, b: Operand): Tensor => greater(b, a);
/** 1 where a >= b, else 0 */
export const greaterEqual = (a: Operand, b: Operand): Tensor => add(greater(a, b), equal(a, b));
/** 1 where a <= b, else 0 */
export const lessEqual = (a: Operand, b: Operand): Tensor => greaterEqual(b, a);
/** 1 where a and b differ, else 0; NaN differs from everything. */
export const notEqual = (a: Operand, b: Operand): Tensor => affine(equal(a, b), -1, 1);

/** 1 where x is 0, else 0 */
export const logicalNot = (x: Tensor): Tensor => equal(x, 0);
/** 1 where neither a nor b is 0, else 0 */
export const logicalAnd = (a: Tensor, b: Tensor): Tensor => mul(notEqual(a, 0), notEqual(b, 0));
/** 1 where a or b is not 0, else 0 */
export const logicalOr = (a: Tensor, b: Tensor): Tensor => maximum(notEqual(a, 0), notEqual(b, 0));

/** 1 where no element over the axes is 0, else 0; of nothing 1. @throws ShapeError as `sum` */
export const all = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  equal(sum(logicalNot(x), over('all', x, options)), 0);
/** 1 where an element over the axes is not 0, else 0; of nothing 0. @throws ShapeError as `sum` */
export const any = (x: Tensor, options: ReduceOptions = {}): Tensor =>
  greater(sum(notEqual(x, 0), over('any', x, options)), 0);

/**
 * Whether |a - b| <= atol + rtol |b| everywhere, or a = b (infinities). It reads the values at once.
 * @throws Error on a gpu backend, whose values cannot be read at once; ShapeError if a and b do not broadcast
 */
export function allclose(a: Tensor, b: Tensor, options: { rtol?: number; atol?: number } = {}): boolean {
  checkOptions('allclose', options, ['rtol', 'atol']);
  const { rtol = 1e-5, atol = 1e-8 } = options;
  const near = lessEqual(abs(sub(a, b)), affine(abs(b), rtol, atol));
  return all(logicalOr(near, equal(a, b))).item() === 1;
}
