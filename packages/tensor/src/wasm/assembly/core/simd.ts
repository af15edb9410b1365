/** @file Four floats at a time: multiply-add, the exponential, sums across lanes, ragged ends. */

/** The floats at p .. p+15. Addresses need no alignment. */
// @ts-ignore: decorator
@inline
export function load4(p: usize): v128 {
  return v128.load(p);
}

/**
 * a * b + c. With relaxed SIMD it is rounded once where the processor can. The deterministic form of the module, which
 * scripts/build-wasm.mjs makes of this one, rounds the product and the sum everywhere.
 */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

/**
 * The constants of the exponential. In memory, because V8 builds a constant vector anew at each use, from three instructions
 * (seven for a pair); spreading a float from memory over the lanes is one.
 */
const EXP = memory.data<f32>([
  // log2 e, and 1.5 * 2^23: adding it rounds to a whole number, which is then in the low bits.
  1.44269504088896341, 12582912.0,
  // 2^f, from the highest power down.
  0.00015353362031843317, 0.0013398874650841592, 0.009618437359121637, 0.05550332470535049, 0.24022647913600476,
  0.6931472028553376, 1.0,
  // Below this the result is 0.
  -87.3,
  // -ln 2 in two pieces, so that n times the first is exact; e^r, from the highest power down.
  -0.693359375, 2.12194440e-4,
  1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
  // The range of exp4, and of sigmoid4.
  -104.0, 89.0, 88.0, -88.0,
]);

// Places in EXP. POW2_i and EXP_i are the coefficients of the i-th power in the polynomials of 2^f and e^r.
const LOG2_E: usize = 0;
const ROUNDING: usize = 1;
const POW2_6: usize = 2;
const POW2_5: usize = 3;
const POW2_4: usize = 4;
const POW2_3: usize = 5;
const POW2_2: usize = 6;
const POW2_1: usize = 7;
const ONE: usize = 8;
const FAST_LOWEST: usize = 9;
const MINUS_LN2_HIGH: usize = 10;
const MINUS_LN2_LOW: usize = 11;
const EXP_7: usize = 12;
const EXP_6: usize = 13;
const EXP_5: usize = 14;
const EXP_4: usize = 15;
const EXP_3: usize = 16;
const EXP_2: usize = 17;
const LOWEST: usize = 18;
const HIGHEST: usize = 19;
const SIGMOID_HIGHEST: usize = 20;
const SIGMOID_LOWEST: usize = 21;

/** Constant i of EXP in every lane. */
// @ts-ignore: decorator
@inline
function constant(i: usize): v128 {
  return v128.load_splat<f32>(EXP + (i << 2));
}

/**
 * e^x for x <= 88: 2^n 2^f with x log2 e = n + f and a polynomial for 2^f (degree 6, minimax on [-1/2, 1/2], relative error 2e-9).
 * Below -87.3 (so for -Infinity) exactly 0; NaN stays NaN. Relative error 1.3e-7 + 1e-8 |x|, less than what rounding x to
 * 32 bits has already done.
 */
// @ts-ignore: decorator
@inline
export function expFast(x: v128): v128 {
  const z = madd(x, constant(LOG2_E), constant(ROUNDING));
  const f = madd(x, constant(LOG2_E), f32x4.sub(constant(ROUNDING), z));
  let p = madd(f, constant(POW2_6), constant(POW2_5));
  p = madd(p, f, constant(POW2_4));
  p = madd(p, f, constant(POW2_3));
  p = madd(p, f, constant(POW2_2));
  p = madd(p, f, constant(POW2_1));
  p = madd(p, f, constant(ONE));
  // 2^n: n sits in the low bits of z, add it to the exponent. Far below the range this is garbage, and erased.
  return v128.andnot(i32x4.add(p, i32x4.shl(z, 23)), f32x4.lt(x, constant(FAST_LOWEST)));
}

/** e^(x - n ln 2), x within ln 2 / 2 of n ln 2: the polynomial of Cephes' expf, relative error 1.2e-7. */
// @ts-ignore: decorator
@inline
function expReduced(x: v128, n: v128): v128 {
  const r = madd(n, constant(MINUS_LN2_LOW), f32x4.add(x, f32x4.mul(n, constant(MINUS_LN2_HIGH))));
  let p = constant(EXP_7);
  p = madd(p, r, constant(EXP_6));
  p = madd(p, r, constant(EXP_5));
  p = madd(p, r, constant(EXP_4));
  p = madd(p, r, constant(EXP_3));
  p = madd(p, r, constant(EXP_2));
  return f32x4.add(madd(p, f32x4.mul(r, r), r), constant(ONE));
}

/** e^x for every x, with Infinity above 88.7 and subnormal numbers below -87.3. NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  // pmin and pmax return their first operand where it is NaN.
  const t = f32x4.pmin(f32x4.pmax(x, constant(LOWEST)), constant(HIGHEST));
  const z = madd(t, constant(LOG2_E), constant(ROUNDING));
  const y = expReduced(t, f32x4.sub(z, constant(ROUNDING)));
  // 2^n in two factors, each a normal number.
  const n = i32x4.sub(z, constant(ROUNDING));
  const half = i32x4.shr_s(n, 1);
  const result = f32x4.mul(y, i32x4.add(constant(ONE), i32x4.shl(half, 23)));
  return v128.bitselect(x, f32x4.mul(result, i32x4.add(constant(ONE), i32x4.shl(i32x4.sub(n, half), 23))), f32x4.ne(x, x));
}

/** 1 / (1 + e^-x); exactly 0 below -88, where it is subnormal: silu multiplies it with an x of any size. */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const t = f32x4.pmin(f32x4.neg(x), constant(SIGMOID_HIGHEST));
  return v128.andnot(f32x4.div(constant(ONE), f32x4.add(constant(ONE), expFast(t))), f32x4.lt(x, constant(SIGMOID_LOWEST)));
}

/**
 * Natural logarithm of a positive x, in 64 bits: ln m + e ln 2 with ln m = 2 artanh((m - 1) / (m + 1)). NaN stays NaN, Infinity stays
 * Infinity: their exponent bits would pass for a number near 710.
 */
export function log(x: f64): f64 {
  if (!(x < Infinity)) return x;
  const bits = reinterpret<u64>(x);
  let exponent = <f64>(<i64>(bits >> 52) - 1023);
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent += 1;
  }
  const s = (m - 1) / (m + 1);
  const t = s * s;
  let sum: f64 = 1.0 / 15;
  sum = sum * t + 1.0 / 13;
  sum = sum * t + 1.0 / 11;
  sum = sum * t + 1.0 / 9;
  sum = sum * t + 1.0 / 7;
  sum = sum * t + 1.0 / 5;
  sum = sum * t + 1.0 / 3;
  sum = sum * t + 1;
  return (s + s) * sum + exponent * 0.6931471805599453;
}

/** (x0 + x1) + (x2 + x3) */
// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** The sums of the lanes of four vectors, as one vector. */
// @ts-ignore: decorator
@inline
export function sumEach(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** The largest lane; NaN if any is. */
// @ts-ignore: decorator
@inline
export function maxLanes(x: v128): f32 {
  return max(
    max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/** The sum of four floats added to two 64-bit sums. */
// @ts-ignore: decorator
@inline
export function addWide(total: v128, x: v128): v128 {
  const high = v128.shuffle<i32>(x, x, 2, 3, 2, 3);
  return f64x2.add(total, f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(high)));
}

/** Four 4-vectors, rows x0..x3, written as the four columns at p, p+step, ... */
// @ts-ignore: decorator
@inline
export function storeTransposed(p: usize, step: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const t0 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
  const t1 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
  const t2 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
  const t3 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
  v128.store(p, v128.shuffle<f64>(t0, t2, 0, 2));
  v128.store(p + step, v128.shuffle<f64>(t0, t2, 1, 3));
  v128.store(p + step * 2, v128.shuffle<f64>(t1, t3, 0, 2));
  v128.store(p + step * 3, v128.shuffle<f64>(t1, t3, 1, 3));
}

/** Stores the first `count` (1..3) lanes. */
export function storeTail(p: usize, x: v128, count: i32): void {
  if (count == 1) {
    v128.store_lane<f32>(p, x, 0);
  } else {
    v128.store_lane<f64>(p, x, 0);
    if (count == 3) v128.store_lane<f32>(p, x, 2, 8);
  }
}

/** All bits set in the first `count` (0..4) lanes. */
// @ts-ignore: decorator
@inline
export function lanesBelow(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}
