/**
 * @file The two inner loops everything heavy runs in: a tile of 4 rows by 8 columns of C, kept in 8 registers.
 *
 * Each step of k multiplies 4 values of A, spread over the lanes, by 8 neighbouring values of B: 8 multiply-adds for 6 loads.
 * 8 sums + 2 vectors of B + 1 of A stay within the 16 registers of the narrowest machines. Do not unroll k: V8 then
 * keeps the loads of all steps alive at once, and spills.
 */
import { wide } from '../core/call';
import { pairsCeiling } from './tile-6x16';
import { madd } from '../core/simd';

/** Writes (add = false) or adds (add = true) a finished tile to C, whose rows are `cRow` bytes apart. */
// @ts-ignore: decorator
@inline
function finish(c: usize, cRow: usize, add: bool,
  c00: v128, c01: v128, c10: v128, c11: v128, c20: v128, c21: v128, c30: v128, c31: v128): void {
  const c1 = c + cRow;
  const c2 = c1 + cRow;
  const c3 = c2 + cRow;
  if (add) {
    v128.store(c, f32x4.add(v128.load(c), c00));
    v128.store(c, f32x4.add(v128.load(c, 16), c01), 16);
    v128.store(c1, f32x4.add(v128.load(c1), c10));
    v128.store(c1, f32x4.add(v128.load(c1, 16), c11), 16);
    v128.store(c2, f32x4.add(v128.load(c2), c20));
    v128.store(c2, f32x4.add(v128.load(c2, 16), c21), 16);
    v128.store(c3, f32x4.add(v128.load(c3), c30));
    v128.store(c3, f32x4.add(v128.load(c3, 16), c31), 16);
  } else {
    v128.store(c, c00);
    v128.store(c, c01, 16);
    v128.store(c1, c10);
    v128.store(c1, c11, 16);
    v128.store(c2, c20);
    v128.store(c2, c21, 16);
    v128.store(c3, c30);
    v128.store(c3, c31, 16);
  }
}

/**
 * C[i, j] (+)= sum over k of A[i, k] B[k, j], i < 4, j < 8, with A given as four rows, whose values for one k and the next are `aStep`
 * bytes apart. The 8 columns of B are neighbours, its rows `bRow` bytes apart.
 */
// @ts-ignore: decorator
@inline
export function tileFromRows(K: i32, a0: usize, a1: usize, a2: usize, a3: usize, aStep: usize, b: usize, bRow: usize,
  c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  const end = a0 + <usize>K * aStep;
  // Offsets from row 0, so that one pointer moves.
  const d1 = a1 - a0, d2 = a2 - a0, d3 = a3 - a0;
  while (a0 < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let s = v128.load_splat<f32>(a0);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    s = v128.load_splat<f32>(a0 + d1);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    s = v128.load_splat<f32>(a0 + d2);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    s = v128.load_splat<f32>(a0 + d3);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    a0 += aStep;
    b += bRow;
  }
  finish(c, cRow, add, c00, c01, c10, c11, c20, c21, c30, c31);
}

/** tileFromRows with A as a panel: for each k its four values are neighbours, and the next k is `aStep` bytes on. */
// @ts-ignore: decorator
@inline
export function tileFromPanel(K: i32, a: usize, aStep: usize, b: usize, bRow: usize, c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  for (let k = K; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let s = v128.load_splat<f32>(a);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    s = v128.load_splat<f32>(a, 4);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    s = v128.load_splat<f32>(a, 8);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    s = v128.load_splat<f32>(a, 12);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    a += aStep;
    b += bRow;
  }
  finish(c, cRow, add, c00, c01, c10, c11, c20, c21, c30, c31);
}

/**
 * Multiply-adds on registers alone, in 12 chains, or 12 pairs of them: what the machine can do at most. 96 FLOPs a step, of
 * which there must be an even number. For the benchmark.
 */
export function ceiling(steps: i32, p: usize): void {
  if (wide) {
    pairsCeiling(steps >> 1, p);
    return;
  }
  // 12 sums, two factors, and where products are rounded by themselves one of those: 15 of 16 registers.
  const s = v128.load(p, 192), b = v128.load(p, 208);
  let c0 = v128.load(p), c1 = v128.load(p, 16), c2 = v128.load(p, 32), c3 = v128.load(p, 48);
  let c4 = v128.load(p, 64), c5 = v128.load(p, 80), c6 = v128.load(p, 96), c7 = v128.load(p, 112);
  let c8 = v128.load(p, 128), c9 = v128.load(p, 144), ca = v128.load(p, 160), cb = v128.load(p, 176);
  for (let i = 0; i < steps; i++) {
    c0 = madd(s, b, c0); c1 = madd(s, b, c1); c2 = madd(s, b, c2); c3 = madd(s, b, c3);
    c4 = madd(s, b, c4); c5 = madd(s, b, c5); c6 = madd(s, b, c6); c7 = madd(s, b, c7);
    c8 = madd(s, b, c8); c9 = madd(s, b, c9); ca = madd(s, b, ca); cb = madd(s, b, cb);
  }
  v128.store(p, c0); v128.store(p, c1, 16); v128.store(p, c2, 32); v128.store(p, c3, 48);
  v128.store(p, c4, 64); v128.store(p, c5, 80); v128.store(p, c6, 96); v128.store(p, c7, 112);
  v128.store(p, c8, 128); v128.store(p, c9, 144); v128.store(p, ca, 160); v128.store(p, cb, 176);
}
