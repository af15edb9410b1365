/**
 * @file Elementwise operations: y[i] = f(x[i]), or f(a[i], b[i]). Two operands broadcast: axes are matched from the last one, and an
 * axis of size 1, or a missing one, is repeated. Operands that do not fit are a ShapeError naming both shapes.
 */
import { checkTensor, type DType, describe, full, type Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/** An operand: a tensor, or a number that stands for a scalar. */
export type Operand = Tensor | number;

const scalarLike = (value: Operand, { backend }: Tensor): Tensor =>
  typeof value === 'number' ? full([], value, { backend }) : value;

/** Both operands of `op` as tensors on one backend. @throws TypeError for two numbers, or for what is no operand */
export function pair(op: string, a: Operand, b: Operand): [Tensor, Tensor] {
  if (typeof a !== 'number') checkTensor(`${op}: the first operand`, a);
  if (typeof b !== 'number') checkTensor(`${op}: the second operand`, b);
  if (typeof a !== 'number') return [a, scalarLike(b, a)];
  if (typeof b !== 'number') return [scalarLike(a, b), b];
  throw new TypeError(`${op}: needs at least one tensor, got two numbers`);
}

// ----- one input -----------------------------------------------------------------------------------------------------

/** -x */
export const neg = (x: Tensor): Tensor => apply('neg', [x], {});
/** e^x */
export const exp = (x: Tensor): Tensor => apply('exp', [x], {});
/** ln x */
export const log = (x: Tensor): Tensor => apply('log', [x], {});
/** Square root of x, NaN below 0. */
export const sqrt = (x: Tensor): Tensor => apply('sqrt', [x], {});
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => apply('reciprocal', [x], {});
/** sin x, x in radians */
export const sin = (x: Tensor): Tensor => apply('sin', [x], {});
/** cos x, x in radians */
export const cos = (x: Tensor): Tensor => apply('cos', [x], {});
/** tanh x */
export const tanh = (x: Tensor): Tensor => apply('tanh', [x], {});
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Tensor): Tensor => apply('sigmoid', [x], {});
/** |x|; the gradient at 0 is 0 */
export const abs = (x: Tensor): Tensor => apply('abs', [x], {});
/** -1, 0 or 1; the gradient is 0 */
export const sign = (x: Tensor): Tensor => apply('sign', [x], {});
/** Error function: erf x = 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x. @see Abramowitz & Stegun 7.1.1 */
export const erf = (x: Tensor): Tensor => apply('erf', [x], {});
/**
 * x with another dtype: 'i32' cuts off what is behind the point (NaN becomes 0), 'f32' is exact up to 2^24. x itself if it has it
 * already. It has no gradient, because whole numbers have none. @throws TypeError for another dtype
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkTensor('cast: x', x);
  if (dtype !== 'f32' && dtype !== 'i32') throw new TypeError(`cast: dtype must be f32 or i32, got ${describe(dtype)}`);
  if (dtype === x.dtype) return x;
  return apply(dtype === 'i32' ? 'toI32' : 'toF32', [x], {});
}
/** scale * x + shift @throws TypeError unless both are numbers */
export function affine(x: Tensor, scale: number, shift = 0): Tensor {
  if (typeof scale === 'number' && typeof shift === 'number') return apply('affine', [x], { scale, shift });
  throw new TypeError(`affine: scale and shift must be numbers, got ${describe(scale)} and ${describe(shift)}`);
}
/** x^2 */
export function square(x: Tensor): Tensor {
  checkTensor('square: x', x);
  return mul(x, x);
}
/** x * sigmoid(x) */
export function silu(x: Tensor): Tensor {
  checkTensor('silu: x', x);
  return mul(x, sigmoid(x));
}
/** max(x, 0); the gradient at 0 is 0, at NaN it is NaN */
export function relu(x: Tensor): Tensor {
  checkTensor('relu: x', x);
  const y = maximum(x, 0);
  // sign(y) is 1, 0 or NaN, so y stays as it is. At x = 0 it makes the gradient 0, where `maximum` alone would give one half.
  return mul(y, sign(y));
}
/**
 * Sets each element to 0 with probability `rate` and divides the others by 1 - rate, so that the mean stays.
 * The mask depends on `seed` (a u32) and the position alone.
 * @see Srivastava et al. 2014
 */
export const dropout = (x: Tensor, rate: number, seed: number): Tensor => apply('dropout', [x], { rate, seed });

// ----- two inputs, broadcasting ---------------------------------------------------------------------------------------

/** a + b */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && typeof a !== 'number') return affine(a, 1, b);
  if (typeof a === 'number' && typeof b !== 'number') return affine(b, 1, a);
  return apply('add', pair('add', a, b), {});
}
/** a - b */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && typeof a !== 'number') return affine(a, 1, -b);
  if (typeof a === 'number' && typeof b !== 'number') return affine(b, -1, a);
  return apply('sub', pair('sub', a, b), {});
}
/** a * b */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && typeof a !== 'number') return affine(a, b);
  if (typeof a === 'number' && typeof b !== 'number') return affine(b, a);
  return apply('mul', pair('mul', a, b), {});
}
/** a / b */
export const div = (a: Operand, b: Operand): Tensor => apply('div', pair('div', a, b), {});
/** The larger of a and b; where they are equal the gradient is shared evenly, where one is NaN it is NaN. */
export const maximum = (a: Operand, b: Operand): Tensor => apply('maximum', pair('maximum', a, b), {});
/** The smaller of a and b; where they are equal the gradient is shared evenly, where one is NaN it is NaN. */
export const minimum = (a: Operand, b: Operand): Tensor => apply('minimum', pair('minimum', a, b), {});
/** 1 where a > b, else 0; the gradient is 0 */
export const greater = (a: Operand, b: Operand): Tensor => apply('greater', pair('greater', a, b), {});
/** 1 where a = b, else 0; the gradient is 0 */
export const equal = (a: Operand, b: Operand): Tensor => apply('equal', pair('equal', a, b), {});
/** 1 where a and b differ, else 0; NaN differs from everything. The gradient is 0 */
export const notEqual = (a: Operand, b: Operand): Tensor => apply('notEqual', pair('notEqual', a, b), {});
/** a where condition is not 0, else b. All three broadcast. The gradient of condition is 0. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  checkTensor('where: the condition', condition);
  return apply('where', [condition, scalarLike(a, condition), scalarLike(b, condition)], {});
}

/** silu(a) * b, the gate of a SwiGLU feed-forward layer: a, b and the result have one shape. @see Shazeer 2020, eq. 5 */
export const swiGlu = (a: Tensor, b: Tensor): Tensor => apply('swiGlu', [a, b], {});
