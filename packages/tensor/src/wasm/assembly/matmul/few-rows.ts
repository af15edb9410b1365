/**
 * @file Products with few rows of A, as in decoding one byte at a time. An element of C is the same sum in the same order as in gemm.ts,
 * so a row of the result has the same bits however many rows are computed with it. B is read once: where its columns are contiguous, 16
 * of them are turned into a panel that stays in the first-level cache, and the rows of A pass by; where its rows are contiguous, they
 * are added up as they stand.
 */
import { scratch } from '../core/call';
import { madd, storeTail } from '../core/simd';
import { blockOfK, copyCorner } from './gemm';
import { packFourRows } from './pack';

/** Up to this many rows of A the product is done here. */
export const FEW_ROWS = 8;
/** Columns of a panel. */
export const PANEL = 16;
/** Columns done together where rows of B are contiguous: so much of C stays in the first-level cache. */
const STRIP = 1024;
/** Places in the scratch: a panel at 0 (384 k and a few beyond), then a spare tile of two rows; or partial sums of a strip of C. */
const SPARE: usize = 392 * PANEL * 4;

/** Column j of B and the next 15, K values each, to a panel [K][16]. Columns beyond the last repeat it. */
export function packColumns(to: usize, b: usize, bn: usize, j: i32, N: i32, K: i32): void {
  for (let q = 0; q < PANEL; q += 4) {
    packFourRows(b + min(j + q, N - 1) * bn, b + min(j + q + 1, N - 1) * bn, b + min(j + q + 2, N - 1) * bn,
      b + min(j + q + 3, N - 1) * bn, K, to + (<usize>q << 2), PANEL * 4);
  }
}

/** c[0:16] = (add ? c[0:16] : 0) + sum over k of a[k] panel[k][0:16], rows of the panel 64 bytes apart. */
export function rowTimesPanel(K: i32, a: usize, panel: usize, c: usize, add: bool): void {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  for (const end = a + (<usize>K << 2); a < end; a += 4) {
    const x = v128.load_splat<f32>(a);
    s0 = madd(x, v128.load(panel), s0);
    s1 = madd(x, v128.load(panel, 16), s1);
    s2 = madd(x, v128.load(panel, 32), s2);
    s3 = madd(x, v128.load(panel, 48), s3);
    panel += 64;
  }
  putRow(c, s0, s1, s2, s3, add);
}

/** rowTimesPanel for two rows of A, `am` bytes apart, and of C, `cm` bytes apart. */
function twoRowsTimesPanel(K: i32, a: usize, am: usize, panel: usize, c: usize, cm: usize, add: bool): void {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  for (const end = a + (<usize>K << 2); a < end; a += 4) {
    const x = v128.load_splat<f32>(a), y = v128.load_splat<f32>(a + am);
    const b0 = v128.load(panel), b1 = v128.load(panel, 16), b2 = v128.load(panel, 32), b3 = v128.load(panel, 48);
    s0 = madd(x, b0, s0);
    s1 = madd(x, b1, s1);
    s2 = madd(x, b2, s2);
    s3 = madd(x, b3, s3);
    t0 = madd(y, b0, t0);
    t1 = madd(y, b1, t1);
    t2 = madd(y, b2, t2);
    t3 = madd(y, b3, t3);
    panel += 64;
  }
  putRow(c, s0, s1, s2, s3, add);
  putRow(c + cm, t0, t1, t2, t3, add);
}

/** Writes or adds 16 neighbouring sums. */
// @ts-ignore: decorator
@inline
function putRow(c: usize, s0: v128, s1: v128, s2: v128, s3: v128, add: bool): void {
  if (add) {
    s0 = f32x4.add(v128.load(c), s0);
    s1 = f32x4.add(v128.load(c, 16), s1);
    s2 = f32x4.add(v128.load(c, 32), s2);
    s3 = f32x4.add(v128.load(c, 48), s3);
  }
  v128.store(c, s0);
  v128.store(c, s1, 16);
  v128.store(c, s2, 32);
  v128.store(c, s3, 48);
}

/** Columns j .. j+15 of C (+)= A times a panel, as far as there are `columns` of them. */
export function rowsTimesPanel(M: i32, K: i32, a: usize, am: usize, panel: usize, c: usize, cm: usize, columns: i32, add: bool): void {
  const whole = columns >= PANEL;
  const spare = scratch() + SPARE;
  let i = 0;
  for (; i + 2 <= M; i += 2) {
    twoRowsTimesPanel(K, a + i * am, am, panel, whole ? c + i * cm : spare, whole ? cm : 64, whole && add);
    if (!whole) copyCorner(spare, 64, c + i * cm, cm, 2, columns, add);
  }
  if (i == M) return;
  rowTimesPanel(K, a + i * am, panel, whole ? c + i * cm : spare, whole && add);
  if (!whole) copyCorner(spare, 64, c + i * cm, cm, 1, columns, add);
}

/** C (+)= A B, columns of B contiguous. */
function timesColumns(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bn: usize, c: usize, cm: usize, add: bool): void {
  const kBlock = blockOfK(K);
  for (let j = 0; j < N; j += PANEL) {
    for (let l = 0; l < K; l += kBlock) {
      const k = min(kBlock, K - l);
      packColumns(scratch(), b + (<usize>l << 2), bn, j, N, k);
      rowsTimesPanel(M, k, a + (<usize>l << 2), am, scratch(), c + (<usize>j << 2), cm, N - j, add || l > 0);
    }
  }
}

/** c[0:N] += a[0] b[0] + a[1] b[1] + a[2] b[2] + a[3] b[3], one after the other; rows of B are `bk` bytes apart. */
function addFourRows(N: i32, a: usize, b: usize, bk: usize, c: usize): void {
  const a0 = v128.load_splat<f32>(a), a1 = v128.load_splat<f32>(a, 4), a2 = v128.load_splat<f32>(a, 8), a3 = v128.load_splat<f32>(a, 12);
  const two = bk * 2, three = bk * 3;
  for (const end = c + (<usize>(N & ~7) << 2); c < end; c += 32) {
    let y0 = v128.load(c), y1 = v128.load(c, 16);
    y0 = madd(a0, v128.load(b), y0);
    y1 = madd(a0, v128.load(b, 16), y1);
    y0 = madd(a1, v128.load(b + bk), y0);
    y1 = madd(a1, v128.load(b + bk, 16), y1);
    y0 = madd(a2, v128.load(b + two), y0);
    y1 = madd(a2, v128.load(b + two, 16), y1);
    y0 = madd(a3, v128.load(b + three), y0);
    y1 = madd(a3, v128.load(b + three, 16), y1);
    v128.store(c, y0);
    v128.store(c, y1, 16);
    b += 32;
  }
  for (let left = N & 7; left > 0; left -= 4) {
    let y = madd(a0, v128.load(b), v128.load(c));
    y = madd(a1, v128.load(b + bk), y);
    y = madd(a2, v128.load(b + two), y);
    y = madd(a3, v128.load(b + three), y);
    if (left >= 4) v128.store(c, y);
    else storeTail(c, y, left);
    b += 16;
    c += 16;
  }
}

/** c[0:N] += a[0] b[0:N] */
function addRow(N: i32, a: usize, b: usize, c: usize): void {
  const a0 = v128.load_splat<f32>(a);
  for (let j = 0; j < N; j += 4) {
    const y = madd(a0, v128.load(b), v128.load(c));
    if (j + 4 <= N) v128.store(c, y);
    else storeTail(c, y, N - j);
    b += 16;
    c += 16;
  }
}

/** C (+)= A B, rows of B contiguous: four of them pass by all rows of A, whose sums of a block of k gather in the scratch. */
function timesRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, c: usize, cm: usize, add: bool): void {
  const kBlock = blockOfK(K);
  const y = scratch(), yRow = <usize>STRIP << 2;
  for (let j = 0; j < N; j += STRIP) {
    const n = min(STRIP, N - j);
    for (let l = 0; l < K; l += kBlock) {
      const to = min(l + kBlock, K);
      for (let i = 0; i < M; i++) memory.fill(y + i * yRow, 0, <usize>n << 2);
      let k = l;
      for (; k + 4 <= to; k += 4) {
        for (let i = 0; i < M; i++) addFourRows(n, a + i * am + (<usize>k << 2), b + k * bk + (<usize>j << 2), bk, y + i * yRow);
      }
      for (; k < to; k++) {
        for (let i = 0; i < M; i++) addRow(n, a + i * am + (<usize>k << 2), b + k * bk + (<usize>j << 2), y + i * yRow);
      }
      copyCorner(y, yRow, c + (<usize>j << 2), cm, M, n, add || l > 0);
    }
  }
}

/** C (+)= A B for few contiguous rows of A. B has contiguous rows (bn = 4) or contiguous columns (bk = 4). */
export function fewRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, bn: usize,
  c: usize, cm: usize, add: bool): void {
  if (bn == 4) timesRows(M, N, K, a, am, b, bk, c, cm, add);
  else timesColumns(M, N, K, a, am, b, bn, c, cm, add);
}
