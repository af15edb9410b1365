/**
 * @file The inner loops for engines that join neighbouring 128-bit operations into 256-bit ones (V8 in Node 24 and
 * later, with --experimental-wasm-revectorize, on processors with AVX2): tiles of 6 rows by 16 columns, and of
 * 8 by 8 and 4 by 16 for attention.
 *
 * A pair of 4-vectors becomes one register if both halves go through the same operations and come from, and end in, neighbouring
 * addresses. So everything here comes in pairs, and both halves of a pair are loaded before either is stored. 12 pairs of
 * sums + 2 of B + 1 of A are 15 of the 16 registers. In other engines these loops are correct too, but spill registers, so module.ts
 * decides where they run. A as a panel and A as rows have a tile each, because a constant offset is part of a load and a variable one
 * is an addition (106 against 100 GFLOP/s).
 */
import { fused, wide } from '../core/call';
import { madd } from '../core/simd';

/**
 * The address `a`, because `wide` is 1 in these loops. The compiler does not know that, or it would make one read of two. Where
 * products and sums are rounded separately, a product takes a sixteenth register for a moment, and one that spills in this loop halves
 * its speed. So a tile of 12 pairs of sums then reads the value of A twice (`twice`), and writes the second product over it.
 */
// @ts-ignore: decorator
@inline
function secondName(a: usize): usize {
  return a + <usize>(wide - 1);
}

/** Writes (add = false) or adds (add = true) 8 neighbouring sums to C. */
// @ts-ignore: decorator
@inline
function finishPair(c: usize, x0: v128, x1: v128, add: bool): void {
  if (add) {
    const y0 = v128.load(c), y1 = v128.load(c, 16);
    v128.store(c, f32x4.add(y0, x0));
    v128.store(c, f32x4.add(y1, x1), 16);
  } else {
    v128.store(c, x0);
    v128.store(c, x1, 16);
  }
}

/**
 * C[i, j] (+)= sum over k of A[i, k] B[k, j], i < 6, j < 16. A is a panel: its 6 values for one k are neighbours,
 * `aStep` bytes to the next. Rows of B and C are `bRow` and `cRow` bytes apart.
 */
// @ts-ignore: decorator
@inline
function sixBySixteen(twice: bool, K: i32, a: usize, aStep: usize, b: usize, bRow: usize, c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c42 = f32x4.splat(0), c43 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0), c52 = f32x4.splat(0), c53 = f32x4.splat(0);
  let again = secondName(a);
  for (let k = K; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let s: v128;
    s = v128.load_splat<f32>(a);
    c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
    if (twice) s = v128.load_splat<f32>(again);
    c02 = madd(s, b2, c02); c03 = madd(s, b3, c03);
    s = v128.load_splat<f32>(a, 4);
    c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
    if (twice) s = v128.load_splat<f32>(again, 4);
    c12 = madd(s, b2, c12); c13 = madd(s, b3, c13);
    s = v128.load_splat<f32>(a, 8);
    c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
    if (twice) s = v128.load_splat<f32>(again, 8);
    c22 = madd(s, b2, c22); c23 = madd(s, b3, c23);
    s = v128.load_splat<f32>(a, 12);
    c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
    if (twice) s = v128.load_splat<f32>(again, 12);
    c32 = madd(s, b2, c32); c33 = madd(s, b3, c33);
    s = v128.load_splat<f32>(a, 16);
    c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
    if (twice) s = v128.load_splat<f32>(again, 16);
    c42 = madd(s, b2, c42); c43 = madd(s, b3, c43);
    s = v128.load_splat<f32>(a, 20);
    c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
    if (twice) s = v128.load_splat<f32>(again, 20);
    c52 = madd(s, b2, c52); c53 = madd(s, b3, c53);
    a += aStep;
    if (twice) again += aStep;
    b += bRow;
  }
  finishPair(c, c00, c01, add);
  finishPair(c + 32, c02, c03, add);
  c += cRow;
  finishPair(c, c10, c11, add);
  finishPair(c + 32, c12, c13, add);
  c += cRow;
  finishPair(c, c20, c21, add);
  finishPair(c + 32, c22, c23, add);
  c += cRow;
  finishPair(c, c30, c31, add);
  finishPair(c + 32, c32, c33, add);
  c += cRow;
  finishPair(c, c40, c41, add);
  finishPair(c + 32, c42, c43, add);
  c += cRow;
  finishPair(c, c50, c51, add);
  finishPair(c + 32, c52, c53, add);
}

/** See `sixBySixteen`; `twice` where products and sums are rounded separately. */
// @ts-ignore: decorator
@inline
export function tile6x16(K: i32, a: usize, aStep: usize, b: usize, bRow: usize, c: usize, cRow: usize, add: bool): void {
  if (fused) sixBySixteen(false, K, a, aStep, b, bRow, c, cRow, add);
  else sixBySixteen(true, K, a, aStep, b, bRow, c, cRow, add);
}

/** tile6x16 with A as six rows, whose values for one k and the next are `aStep` bytes apart. */
// @ts-ignore: decorator
@inline
function sixBySixteenFromRows(twice: bool, K: i32, a0: usize, a1: usize, a2: usize, a3: usize, a4: usize, a5: usize, aStep: usize,
  b: usize, bRow: usize, c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c42 = f32x4.splat(0), c43 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0), c52 = f32x4.splat(0), c53 = f32x4.splat(0);
  const end = a0 + <usize>K * aStep;
  // Offsets from row 0, so that one pointer moves.
  const d1 = a1 - a0, d2 = a2 - a0, d3 = a3 - a0, d4 = a4 - a0, d5 = a5 - a0;
  let again = secondName(a0);
  while (a0 < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let s: v128;
    s = v128.load_splat<f32>(a0);
    c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
    if (twice) s = v128.load_splat<f32>(again);
    c02 = madd(s, b2, c02); c03 = madd(s, b3, c03);
    s = v128.load_splat<f32>(a0 + d1);
    c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
    if (twice) s = v128.load_splat<f32>(again + d1);
    c12 = madd(s, b2, c12); c13 = madd(s, b3, c13);
    s = v128.load_splat<f32>(a0 + d2);
    c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
    if (twice) s = v128.load_splat<f32>(again + d2);
    c22 = madd(s, b2, c22); c23 = madd(s, b3, c23);
    s = v128.load_splat<f32>(a0 + d3);
    c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
    if (twice) s = v128.load_splat<f32>(again + d3);
    c32 = madd(s, b2, c32); c33 = madd(s, b3, c33);
    s = v128.load_splat<f32>(a0 + d4);
    c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
    if (twice) s = v128.load_splat<f32>(again + d4);
    c42 = madd(s, b2, c42); c43 = madd(s, b3, c43);
    s = v128.load_splat<f32>(a0 + d5);
    c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
    if (twice) s = v128.load_splat<f32>(again + d5);
    c52 = madd(s, b2, c52); c53 = madd(s, b3, c53);
    a0 += aStep;
    if (twice) again += aStep;
    b += bRow;
  }
  finishPair(c, c00, c01, add);
  finishPair(c + 32, c02, c03, add);
  c += cRow;
  finishPair(c, c10, c11, add);
  finishPair(c + 32, c12, c13, add);
  c += cRow;
  finishPair(c, c20, c21, add);
  finishPair(c + 32, c22, c23, add);
  c += cRow;
  finishPair(c, c30, c31, add);
  finishPair(c + 32, c32, c33, add);
  c += cRow;
  finishPair(c, c40, c41, add);
  finishPair(c + 32, c42, c43, add);
  c += cRow;
  finishPair(c, c50, c51, add);
  finishPair(c + 32, c52, c53, add);
}

// @ts-ignore: decorator
@inline
export function tile6x16FromRows(K: i32, a0: usize, a1: usize, a2: usize, a3: usize, a4: usize, a5: usize, aStep: usize, b: usize,
  bRow: usize, c: usize, cRow: usize, add: bool): void {
  if (fused) sixBySixteenFromRows(false, K, a0, a1, a2, a3, a4, a5, aStep, b, bRow, c, cRow, add);
  else sixBySixteenFromRows(true, K, a0, a1, a2, a3, a4, a5, aStep, b, bRow, c, cRow, add);
}

/** Four rows by 16 columns. A is a panel: its 4 values for one k are neighbours, `aStep` bytes to the next. */
// @ts-ignore: decorator
@inline
export function tile4x16(K: i32, a: usize, aStep: usize, b: usize, bRow: usize, c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  for (let k = K; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let s: v128;
    s = v128.load_splat<f32>(a);
    c00 = madd(s, b0, c00); c01 = madd(s, b1, c01); c02 = madd(s, b2, c02); c03 = madd(s, b3, c03);
    s = v128.load_splat<f32>(a, 4);
    c10 = madd(s, b0, c10); c11 = madd(s, b1, c11); c12 = madd(s, b2, c12); c13 = madd(s, b3, c13);
    s = v128.load_splat<f32>(a, 8);
    c20 = madd(s, b0, c20); c21 = madd(s, b1, c21); c22 = madd(s, b2, c22); c23 = madd(s, b3, c23);
    s = v128.load_splat<f32>(a, 12);
    c30 = madd(s, b0, c30); c31 = madd(s, b1, c31); c32 = madd(s, b2, c32); c33 = madd(s, b3, c33);
    a += aStep;
    b += bRow;
  }
  finishPair(c, c00, c01, add);
  finishPair(c + 32, c02, c03, add);
  c += cRow;
  finishPair(c, c10, c11, add);
  finishPair(c + 32, c12, c13, add);
  c += cRow;
  finishPair(c, c20, c21, add);
  finishPair(c + 32, c22, c23, add);
  c += cRow;
  finishPair(c, c30, c31, add);
  finishPair(c + 32, c32, c33, add);
}

/** C[i, j] (+)= sum over k of A[i, k] B[k, j], i < 8, j < 8. A is a panel: its 8 values for one k are neighbours, `aStep` bytes to the next. */
// @ts-ignore: decorator
@inline
export function tile8x8(K: i32, a: usize, aStep: usize, b: usize, bRow: usize, c: usize, cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  let c60 = f32x4.splat(0), c61 = f32x4.splat(0);
  let c70 = f32x4.splat(0), c71 = f32x4.splat(0);
  for (let k = K; k > 0; k--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let s: v128;
    s = v128.load_splat<f32>(a);
    c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
    s = v128.load_splat<f32>(a, 4);
    c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
    s = v128.load_splat<f32>(a, 8);
    c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
    s = v128.load_splat<f32>(a, 12);
    c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
    s = v128.load_splat<f32>(a, 16);
    c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
    s = v128.load_splat<f32>(a, 20);
    c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
    s = v128.load_splat<f32>(a, 24);
    c60 = madd(s, b0, c60); c61 = madd(s, b1, c61);
    s = v128.load_splat<f32>(a, 28);
    c70 = madd(s, b0, c70); c71 = madd(s, b1, c71);
    a += aStep;
    b += bRow;
  }
  finishPair(c, c00, c01, add);
  c += cRow;
  finishPair(c, c10, c11, add);
  c += cRow;
  finishPair(c, c20, c21, add);
  c += cRow;
  finishPair(c, c30, c31, add);
  c += cRow;
  finishPair(c, c40, c41, add);
  c += cRow;
  finishPair(c, c50, c51, add);
  c += cRow;
  finishPair(c, c60, c61, add);
  c += cRow;
  finishPair(c, c70, c71, add);
}

/** Four rows by 16 columns with A as rows. There once, not in the place of each call. */
export function tile4x16FromRows(K: i32, a0: usize, a1: usize, a2: usize, a3: usize, aStep: usize, b: usize, bRow: usize, c: usize,
  cRow: usize, add: bool): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  const end = a0 + <usize>K * aStep;
  const d1 = a1 - a0, d2 = a2 - a0, d3 = a3 - a0;
  while (a0 < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let s: v128;
    s = v128.load_splat<f32>(a0);
    c00 = madd(s, b0, c00); c01 = madd(s, b1, c01); c02 = madd(s, b2, c02); c03 = madd(s, b3, c03);
    s = v128.load_splat<f32>(a0 + d1);
    c10 = madd(s, b0, c10); c11 = madd(s, b1, c11); c12 = madd(s, b2, c12); c13 = madd(s, b3, c13);
    s = v128.load_splat<f32>(a0 + d2);
    c20 = madd(s, b0, c20); c21 = madd(s, b1, c21); c22 = madd(s, b2, c22); c23 = madd(s, b3, c23);
    s = v128.load_splat<f32>(a0 + d3);
    c30 = madd(s, b0, c30); c31 = madd(s, b1, c31); c32 = madd(s, b2, c32); c33 = madd(s, b3, c33);
    a0 += aStep;
    b += bRow;
  }
  finishPair(c, c00, c01, add);
  finishPair(c + 32, c02, c03, add);
  c += cRow;
  finishPair(c, c10, c11, add);
  finishPair(c + 32, c12, c13, add);
  c += cRow;
  finishPair(c, c20, c21, add);
  finishPair(c + 32, c22, c23, add);
  c += cRow;
  finishPair(c, c30, c31, add);
  finishPair(c + 32, c32, c33, add);
}

/**
 * Multiply-adds on registers alone, in 12 pairs of chains; see ceiling in tile-4x8.ts. 192 FLOPs a step. The
 * chains begin at numbers nobody knows, or the compiler would see that they are all the same.
 */
export function pairsCeiling(steps: i32, p: usize): void {
  const s = v128.load_splat<f32>(p, 384), b0 = v128.load(p, 448), b1 = v128.load(p, 464);
  let c00 = v128.load(p), c01 = v128.load(p, 16);
  let c10 = v128.load(p, 32), c11 = v128.load(p, 48);
  let c20 = v128.load(p, 64), c21 = v128.load(p, 80);
  let c30 = v128.load(p, 96), c31 = v128.load(p, 112);
  let c40 = v128.load(p, 128), c41 = v128.load(p, 144);
  let c50 = v128.load(p, 160), c51 = v128.load(p, 176);
  let c60 = v128.load(p, 192), c61 = v128.load(p, 208);
  let c70 = v128.load(p, 224), c71 = v128.load(p, 240);
  let c80 = v128.load(p, 256), c81 = v128.load(p, 272);
  let c90 = v128.load(p, 288), c91 = v128.load(p, 304);
  let c100 = v128.load(p, 320), c101 = v128.load(p, 336);
  let c110 = v128.load(p, 352), c111 = v128.load(p, 368);
  for (let i = 0; i < steps; i++) {
    c00 = madd(s, b0, c00); c01 = madd(s, b1, c01);
    c10 = madd(s, b0, c10); c11 = madd(s, b1, c11);
    c20 = madd(s, b0, c20); c21 = madd(s, b1, c21);
    c30 = madd(s, b0, c30); c31 = madd(s, b1, c31);
    c40 = madd(s, b0, c40); c41 = madd(s, b1, c41);
    c50 = madd(s, b0, c50); c51 = madd(s, b1, c51);
    c60 = madd(s, b0, c60); c61 = madd(s, b1, c61);
    c70 = madd(s, b0, c70); c71 = madd(s, b1, c71);
    c80 = madd(s, b0, c80); c81 = madd(s, b1, c81);
    c90 = madd(s, b0, c90); c91 = madd(s, b1, c91);
    c100 = madd(s, b0, c100); c101 = madd(s, b1, c101);
    c110 = madd(s, b0, c110); c111 = madd(s, b1, c111);
  }
  c00 = f32x4.add(c00, c10); c01 = f32x4.add(c01, c11);
  c00 = f32x4.add(c00, c20); c01 = f32x4.add(c01, c21);
  c00 = f32x4.add(c00, c30); c01 = f32x4.add(c01, c31);
  c00 = f32x4.add(c00, c40); c01 = f32x4.add(c01, c41);
  c00 = f32x4.add(c00, c50); c01 = f32x4.add(c01, c51);
  c00 = f32x4.add(c00, c60); c01 = f32x4.add(c01, c61);
  c00 = f32x4.add(c00, c70); c01 = f32x4.add(c01, c71);
  c00 = f32x4.add(c00, c80); c01 = f32x4.add(c01, c81);
  c00 = f32x4.add(c00, c90); c01 = f32x4.add(c01, c91);
  c00 = f32x4.add(c00, c100); c01 = f32x4.add(c01, c101);
  c00 = f32x4.add(c00, c110); c01 = f32x4.add(c01, c111);
  finishPair(p, c00, c01, false);
}
