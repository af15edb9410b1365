/** @file Sines and cosines, four at a time: what is left of x when quarter turns are taken away, and a polynomial of it. */
import { scratch } from './call';
import { madd } from './simd';

/** From here on the reduction by a quarter turn in two pieces is too coarse. */
const FAR: f32 = 268435456;

/** 2 / pi: the first bits behind the point. */
const TWO_OVER_PI = memory.data<u32>([
  0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
]);

/** 32 of these bits, from bit i on. */
function twoOverPi(i: i32): u64 {
  const at = TWO_OVER_PI + (<usize>(i >> 5) << 2);
  return <u64><u32>((<u64>load<u32>(at) << 32 | load<u32>(at, 4)) << (i & 31) >> 32);
}

/** How often `reduceFar` took a quarter turn away. */
let quartersFar: i32 = 0;

/** r, |r| <= pi/4, for |x| >= FAR: m 2^e 2/pi, of which the whole turns are left out before anything is multiplied (Payne & Hanek 1983). */
function reduceFar(x: f32): f32 {
  const bits = reinterpret<u32>(x);
  const e = <i32>(bits >> 23 & 255) - 150, m = <u64>(bits & 0x7fffff | 0x800000);
  if (e > 104) return NaN;
  // Quarter turns in units of 2^-62, so that the top bits count them.
  const turns = (m * twoOverPi(e - 2) << 32) + m * twoOverPi(e + 30) + (m * twoOverPi(e + 62) >> 32);
  const n = <i32>(turns >> 62) + <i32>(turns >> 61 & 1);
  const r = <f32>(<f64><i64>(turns << 2) * 8.515303950216386e-20); // pi/2 2^-64
  quartersFar = x < 0 ? -n : n;
  return x < 0 ? -r : r;
}

/** r, |r| <= pi/4, for quarter turns to take away from x. In 64 bits, pi/2 in two pieces (fdlibm's). */
// @ts-ignore: decorator
@inline
function reduced(x: v128, quarters: v128): v128 {
  return f64x2.sub(
    f64x2.sub(x, f64x2.mul(quarters, f64x2.splat(1.57079631090164184570e+00))),
    f64x2.mul(quarters, f64x2.splat(1.58932547735281966916e-08)));
}

/** Reduces the four floats at p, and puts down the r at p + 16 and their quarters at p + 32. */
function reduceFar4(p: usize): void {
  for (const end = p + 16; p < end; p += 4) {
    store<f32>(p, reduceFar(load<f32>(p)), 16);
    store<i32>(p, quartersFar, 32);
  }
}

/** sin(x + turn pi/2), turn 0 or 1: sine or cosine of what is left of a quarter turn, by Cephes' polynomials. */
export function wave4(x: v128, turn: v128): v128 {
  const low = f64x2.promote_low_f32x4(x), high = f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 2, 3));
  const perQuarter = f64x2.splat(6.36619772367581382433e-01);
  const nLow = f64x2.nearest(f64x2.mul(low, perQuarter)), nHigh = f64x2.nearest(f64x2.mul(high, perQuarter));
  let r = v128.shuffle<f64>(f32x4.demote_f64x2_zero(reduced(low, nLow)), f32x4.demote_f64x2_zero(reduced(high, nHigh)), 0, 2);
  let n = v128.shuffle<i64>(i32x4.trunc_sat_f64x2_s_zero(nLow), i32x4.trunc_sat_f64x2_s_zero(nHigh), 0, 2);
  const far = f32x4.ge(f32x4.abs(x), f32x4.splat(FAR));
  if (v128.any_true(far)) {
    v128.store(scratch(), x);
    reduceFar4(scratch());
    r = v128.bitselect(v128.load(scratch(), 16), r, far);
    n = v128.bitselect(v128.load(scratch(), 32), n, far);
  }
  n = i32x4.add(n, i32x4.trunc_sat_f32x4_s(turn));
  const z = f32x4.mul(r, r);
  const s = madd(madd(f32x4.splat(-1.9515295891e-4), z, f32x4.splat(8.3321608736e-3)), z, f32x4.splat(-1.6666654611e-1));
  const sine = madd(f32x4.mul(s, z), r, r);
  const c = madd(madd(f32x4.splat(2.443315711809948e-5), z, f32x4.splat(-1.388731625493765e-3)), z, f32x4.splat(4.166664568298827e-2));
  const cosine = madd(f32x4.mul(c, z), z, madd(z, f32x4.splat(-0.5), f32x4.splat(1)));
  const odd = i32x4.ne(v128.and(n, i32x4.splat(1)), i32x4.splat(0));
  const y = v128.xor(v128.bitselect(cosine, sine, odd), i32x4.shl(v128.and(n, i32x4.splat(2)), 30));
  // The reduction loses the sign of 0.
  return v128.bitselect(x, y, f32x4.eq(f32x4.abs(x), f32x4.neg(turn)));
}
