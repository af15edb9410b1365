/** @file Functions of one element or two, out of the elementwise operations. */
import { checkTensor, full, type Tensor } from '@blt-ts/tensor';
import { defineOp } from '../define-op.ts';
import {
  abs,
  affine,
  cast,
  div,
  equal,
  exp,
  log,
  maximum,
  minimum,
  mul,
  neg,
  notEqual,
  type Operand,
  pair,
  reciprocal,
  sqrt,
  tanh,
  where,
} from '../ops/elementwise.ts';
import { unbroadcast } from '../ops/reduce.ts';
import { reshape } from '../ops/shape.ts';
import { less } from './logic.ts';

/** x kept within low and high: min(max(x, low), high). At a bound half of the gradient passes, as in `maximum`. */
export function clip(x: Tensor, low: Operand, high: Operand): Tensor {
  checkTensor('clip: x', x);
  const [, least] = pair('clip', x, low);
  const [, most] = pair('clip', x, high);
  return minimum(maximum(x, least), most);
}

const FIRST = { ins: [0], outs: false };

/** e^x - 1, which keeps its digits near 0: tanh(x / 2) (e^x + 1). */
export const expm1: (x: Tensor) => Tensor = /* @__PURE__ */ defineOp({
  name: 'expm1',
  inputs: ['x'],
  reads: FIRST,
  forward: ([x]) => mul(tanh(affine(x, 0.5)), affine(exp(x), 1, 1)),
  vjp: (g, { ins: [x] }) => [mul(g, exp(x))],
});

/**
 * ln(1 + x), which keeps its digits near 0. With u = 1 + x as it is rounded, ln(u) / (u - 1) is what x has to be multiplied by, whatever
 * was lost in u. @see Goldberg 1991, theorem 4
 */
export const log1p: (x: Tensor) => Tensor = /* @__PURE__ */ defineOp({
  name: 'log1p',
  inputs: ['x'],
  reads: FIRST,
  forward: ([x]) => {
    const u = affine(x, 1, 1);
    const y = mul(x, div(log(u), affine(u, 1, -1)));
    return where(equal(u, 1), x, where(equal(x, Number.POSITIVE_INFINITY), x, y));
  },
  vjp: (g, { ins: [x] }) => [div(g, affine(x, 1, 1))],
});

/** The largest number of squarings that `pow` makes of a whole exponent. */
const LARGEST_WHOLE = 64;

/** e^(b ln|a|), with the sign that a whole b gives a negative a. */
const realPower = /* @__PURE__ */ defineOp({
  name: 'pow',
  inputs: ['a', 'b'],
  forward: ([a, b]) => {
    const size = exp(mul(b, log(abs(a))));
    const truncated = (x: Tensor) => cast(cast(x, 'i32'), 'f32');
    // Floats from 2^24 on are whole and even.
    const small = less(abs(b), 2 ** 24);
    const odd = mul(small, notEqual(affine(truncated(affine(b, 0.5)), 2), b));
    const whole = where(small, equal(truncated(b), b), 1);
    const signed = where(whole, where(odd, neg(size), size), Number.NaN);
    const unit = where(equal(a, 1), 1, mul(equal(abs(a), 1), equal(abs(b), Number.POSITIVE_INFINITY)));
    return where(maximum(equal(b, 0), unit), 1, where(less(a, 0), signed, size));
  },
  // da = g b a^(b-1), db = g y ln a, which is NaN where a is below 0
  vjp: (g, { ins: [a, b], out, needs }) => [
    needs[0]
      ? unbroadcast(mul(g, where(mul(equal(a, 0), equal(b, 0)), 0, mul(b, pow(a, affine(b, 1, -1))))), a.shape)
      : null,
    needs[1] ? unbroadcast(mul(g, mul(out, log(where(equal(a, 0), 1, a)))), b.shape) : null,
  ],
});

/**
 * a^b. A whole number b up to 64 is multiplied out, 1/2 is a square root, any other is e^(b ln|a|), whose relative error is about |b ln a|
 * roundoffs. A negative a has a power only where b is whole, else NaN; a^0, 1^b and (-1)^(+-infinity) are 1. The gradient by b is NaN where a is negative, and 0 at a = 0. Operands broadcast.
 */
export function pow(a: Operand, b: Operand): Tensor {
  if (typeof a === 'number') return realPower(pair('pow', a, b)[0], b as Tensor);
  if (typeof b !== 'number') return realPower(a, b);
  checkTensor('pow: the first operand', a);
  if (b === 0.5) return sqrt(a);
  if (!Number.isInteger(b) || Math.abs(b) > LARGEST_WHOLE) return realPower(a, pair('pow', a, b)[1]);
  if (b < 0) return pow(reciprocal(a), -b);
  if (b === 0) return full(a.shape, 1, { backend: a.backend });
  // The product of a^(2^i) over the digits i of b that are 1.
  let [result, square] = [undefined as Tensor | undefined, a];
  for (let left = b; ; square = mul(square, square)) {
    if (left % 2 === 1) result = result ? mul(result, square) : square;
    left = Math.floor(left / 2);
    if (left === 0) return b === 1 ? reshape(a, a.shape) : (result as Tensor);
  }
}
