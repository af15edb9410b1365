/** @file The operations of elementwise kernels, each on four elements. */
import { exp4, madd, sigmoid4 } from '../core/simd';
import { wave4 } from '../core/trigonometry';

/** In memory, so that spreading it over the lanes is one instruction: see EXP in simd.ts. */
export const ONE = memory.data<f32>([1]);

/** The polynomial of tanh(x) / x - 1 in x^2, and up to which |x| it serves. */
const TANH = memory.data<f32>([
  -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1, 0.625,
]);

/** The polynomials of erf: P from the highest power down, then Q, then up to which |x| P serves. */
const ERF = memory.data<f32>([
  -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1,
  -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1,
  0.927734375,
]);

// @ts-ignore: decorator
@inline
function erfTerm(i: i32): v128 {
  return v128.load_splat<f32>(ERF + (<usize>i << 2));
}

/** P of the logarithm from the highest power down, ln 2 in two pieces, sqrt(1/2), -1/2, and between which numbers it serves. */
const LOG = memory.data<f32>([
  7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1, 0.693359375, -2.12194440e-4, 0.70710678, -0.5, 1.17549435e-38, Infinity,
]);
const LN2_HIGH = 9;
const LN2_LOW = 10;
const SQRT_HALF = 11;
const MINUS_HALF = 12;
const SMALLEST = 13;
const INFINITY = 14;

// @ts-ignore: decorator
@inline
function logTerm(i: i32): v128 {
  return v128.load_splat<f32>(LOG + (<usize>i << 2));
}

/**
 * An operation on four lanes. Its subclasses are passed as type parameters, so that each loop is compiled for its operation;
 * there are no objects. Unary operations ignore what they do not need.
 */
export abstract class Op {
  abstract of(a: v128, b: v128, c: v128): v128;
}

export class Add extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.add(a, b); }
}

export class Sub extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.sub(a, b); }
}

export class Mul extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.mul(a, b); }
}

export class Div extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.div(a, b); }
}

export class Maximum extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.max(a, b); }
}

export class Minimum extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.min(a, b); }
}

export class Greater extends Op {
  of(a: v128, b: v128, c: v128): v128 { return v128.and(f32x4.gt(a, b), v128.load_splat<f32>(ONE)); }
}

export class Equal extends Op {
  of(a: v128, b: v128, c: v128): v128 { return v128.and(f32x4.eq(a, b), v128.load_splat<f32>(ONE)); }
}

export class NotEqual extends Op {
  of(a: v128, b: v128, c: v128): v128 { return v128.and(f32x4.ne(a, b), v128.load_splat<f32>(ONE)); }
}

export class Neg extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.neg(x); }
}

export class Exp extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 { return exp4(x); }
}

/**
 * ln v - shift ln 2 of normal numbers v: ln m + e ln 2, sqrt(1/2) <= m < sqrt 2, with Cephes' polynomial of f = m - 1: f - f^2 / 2 + f^3 P(f).
 * Its error is below one unit in the last place, near 1 too, where the logarithm is small.
 */
// @ts-ignore: decorator
@inline
function logOfNormal(v: v128, shift: v128): v128 {
  const e = i32x4.shr_s(i32x4.sub(v, logTerm(SQRT_HALF)), 23);
  const n = f32x4.sub(f32x4.convert_i32x4_s(e), shift);
  const f = f32x4.sub(i32x4.sub(v, i32x4.shl(e, 23)), v128.load_splat<f32>(ONE)), z = f32x4.mul(f, f);
  let p = logTerm(0);
  for (let i = 1; i < 9; i++) p = madd(p, f, logTerm(i));
  p = madd(n, logTerm(LN2_LOW), f32x4.mul(f32x4.mul(f, z), p));
  return madd(n, logTerm(LN2_HIGH), f32x4.add(f, madd(z, logTerm(MINUS_HALF), p)));
}

/** ln x of any numbers. Subnormal ones are made 2^23 times as large, so that they have an exponent. */
function logOfAny(x: v128): v128 {
  const tiny = f32x4.lt(x, logTerm(SMALLEST)), above = f32x4.gt(x, f32x4.splat(0));
  const v = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, tiny);
  const y = logOfNormal(v, v128.and(tiny, f32x4.splat(23)));
  const other = v128.bitselect(f32x4.splat(-Infinity), v128.bitselect(x, f32x4.splat(NaN), above), f32x4.eq(x, f32x4.splat(0)));
  return v128.bitselect(y, other, v128.and(above, f32x4.lt(x, logTerm(INFINITY))));
}

/** ln x: -Infinity at 0, NaN below it. */
export class Log extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const normal = v128.and(f32x4.ge(x, logTerm(SMALLEST)), f32x4.lt(x, logTerm(INFINITY)));
    return i32x4.all_true(normal) ? logOfNormal(x, f32x4.splat(0)) : logOfAny(x);
  }
}

export class Sqrt extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.sqrt(x); }
}

export class Reciprocal extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.div(f32x4.splat(1), x); }
}

export class Sigmoid extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 { return sigmoid4(x); }
}

export class Abs extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.abs(x); }
}

export class Affine extends Op {
  of(x: v128, scale: v128, shift: v128): v128 { return madd(x, scale, shift); }
}

/** -1 or 1 with the sign of x; zeros and NaN stay. */
export class Sign extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const one = v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(1));
    return v128.bitselect(one, x, f32x4.gt(f32x4.abs(x), f32x4.splat(0)));
  }
}

/** A polynomial near 0 (Cephes' tanhf), elsewhere 1 - 2 / (e^(2|x|) + 1) with the sign of x. */
export class Tanh extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const z = f32x4.mul(x, x);
    let p = v128.load_splat<f32>(TANH);
    p = madd(p, z, v128.load_splat<f32>(TANH + 4));
    p = madd(p, z, v128.load_splat<f32>(TANH + 8));
    p = madd(p, z, v128.load_splat<f32>(TANH + 12));
    p = madd(p, z, v128.load_splat<f32>(TANH + 16));
    const near = madd(f32x4.mul(p, z), x, x);
    const size = f32x4.abs(x);
    const e = exp4(f32x4.add(size, size));
    const one = v128.load_splat<f32>(ONE);
    const far = f32x4.sub(one, f32x4.div(f32x4.add(one, one), f32x4.add(e, one)));
    const sign = v128.and(x, f32x4.splat(-0.0));
    // Near 0 the sign is there already, but for -0.
    return v128.or(v128.bitselect(near, far, f32x4.lt(size, v128.load_splat<f32>(TANH + 20))), sign);
  }
}

export class ToI32 extends Op {
  of(x: v128, b: v128, c: v128): v128 { return i32x4.trunc_sat_f32x4_s(x); }
}

export class ToF32 extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.convert_i32x4_s(x); }
}

/** Up to 0.9277 x + x P(x^2), beyond 1 - e^(-|x| - |x| Q(|x|)) with the sign of x: minimax polynomials (Juffa 2016). */
export class Erf extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const z = f32x4.mul(x, x), size = f32x4.abs(x);
    let p = erfTerm(0);
    for (let i = 1; i < 6; i++) p = madd(p, z, erfTerm(i));
    const near = madd(p, x, x);
    let q = madd(madd(erfTerm(6), size, erfTerm(7)), z, madd(erfTerm(8), size, erfTerm(9)));
    for (let i = 10; i < 13; i++) q = madd(q, size, erfTerm(i));
    const one = v128.load_splat<f32>(ONE);
    const far = f32x4.sub(one, exp4(f32x4.sub(f32x4.mul(q, size), size)));
    const signed = v128.or(far, v128.and(x, f32x4.splat(-0.0)));
    return v128.bitselect(signed, near, f32x4.gt(size, erfTerm(13)));
  }
}

/** sin(x + shift pi/2), shift 0 or 1. */
export class Wave extends Op {
  of(x: v128, scale: v128, shift: v128): v128 { return wave4(x, shift); }
}
