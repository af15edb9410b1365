/**
 * @file Products of few rows of A with a matrix whose values are kept as BF16, the upper halves of floats: a product of few rows takes
 * as long as its matrix takes to arrive, and this one is half as long. Sums are of floats, as everywhere.
 */
import * as args from '../../arguments/matmul';
import { int, partBegin, pointer, scratch } from '../core/call';
import { madd, sumEach } from '../core/simd';
import { rowTimesFour, twoRowsTimesFour } from './few-rows';

/** The values at even places (the lower halves of the words), and those at odd places. */
// @ts-ignore: decorator
@inline
function evenValues(words: v128): v128 {
  return i32x4.shl(words, 16);
}

// @ts-ignore: decorator
@inline
function oddValues(words: v128): v128 {
  return v128.and(words, i32x4.splat(0xffff0000));
}

/** n values (a multiple of 8) become floats. */
function widen(to: usize, from: usize, n: i32): void {
  for (const end = to + (<usize>n << 2); to < end; to += 32) {
    const words = v128.load(from);
    const even = evenValues(words), odd = oddValues(words);
    v128.store(to, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
    v128.store(to, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
    from += 16;
  }
}

/** Kernel. Arguments: y, x, n (a multiple of 8). */
export function widenBf16(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = partBegin(n, 1024, part, parts);
  const count = partBegin(n, 1024, part + 1, parts) - begin;
  widen(pointer(args.y) + (<usize>begin << 2), pointer(args.x) + (<usize>begin << 1), count);
}

/** Each 8 values of a row, the four at even places first. */
function separate(to: usize, from: usize, K: i32): void {
  for (const end = to + (<usize>K << 2); to < end; to += 32) {
    const x = v128.load(from), y = v128.load(from, 16);
    v128.store(to, v128.shuffle<f32>(x, y, 0, 2, 4, 6));
    v128.store(to, v128.shuffle<f32>(x, y, 1, 3, 5, 7), 16);
    from += 32;
  }
}

/** Dot products of a separated row with four rows of B, `apart` bytes from one another, to c[0], c[step], ... */
function dotFour(K: i32, a: usize, b0: usize, apart: usize, c: usize, step: usize, count: i32): void {
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  for (let at: usize = 0, end = <usize>K << 1; at < end; at += 16) {
    const x = v128.load(a), y = v128.load(a, 16);
    let words = v128.load(b0 + at);
    s0 = madd(x, evenValues(words), s0);
    t0 = madd(y, oddValues(words), t0);
    words = v128.load(b1 + at);
    s1 = madd(x, evenValues(words), s1);
    t1 = madd(y, oddValues(words), t1);
    words = v128.load(b2 + at);
    s2 = madd(x, evenValues(words), s2);
    t2 = madd(y, oddValues(words), t2);
    words = v128.load(b3 + at);
    s3 = madd(x, evenValues(words), s3);
    t3 = madd(y, oddValues(words), t3);
    a += 32;
  }
  const four = sumEach(f32x4.add(s0, t0), f32x4.add(s1, t1), f32x4.add(s2, t2), f32x4.add(s3, t3));
  v128.store_lane<f32>(c, four, 0);
  if (count == 1) return;
  v128.store_lane<f32>(c + step, four, 1);
  v128.store_lane<f32>(c + step * 2, four, 2);
  v128.store_lane<f32>(c + step * 3, four, 3);
}

/** Four rows of B become floats once and meet all rows of A. Scratch: those four rows. */
function fourColumns(M: i32, K: i32, a: usize, b: usize, apart: usize, c: usize, cRow: usize, step: usize, count: i32): void {
  const aRow = <usize>K << 2;
  for (let i = 0; i < count; i++) widen(scratch() + i * aRow, b + i * apart, K);
  const wide = count == 1 ? 0 : aRow;
  let i = 0;
  for (; i + 2 <= M; i += 2) {
    twoRowsTimesFour(K, a + i * aRow, aRow, scratch(), wide, c + i * cRow, cRow, step, count, false);
  }
  if (i < M) rowTimesFour(K, a + i * aRow, scratch(), wide, c + i * cRow, step, count, false);
}

/**
 * Kernel: C [M, N] = A B^T. Threads take columns of C; as in few-rows.ts four columns a quarter apart pass at a time.
 * Arguments: a [M, K] floats, b [N, K] BF16, c, M, N, K (a multiple of 8, at most 65536).
 */
export function matmulBf16(part: i32, parts: i32): void {
  const M = int(args.M), N = int(args.N), K = int(args.K);
  const begin = partBegin(N, 4, part, parts);
  const n = partBegin(N, 4, part + 1, parts) - begin;
  const quarter = n >> 2;
  const bRow = <usize>K << 1;
  const apart = quarter * bRow, step = <usize>quarter << 2;
  const a = M == 1 ? scratch() : pointer(args.a);
  if (M == 1) separate(a, pointer(args.a), K);
  let b = pointer(args.b) + begin * bRow, c = pointer(args.c) + (<usize>begin << 2);
  for (let j = 0; j < quarter; j++) {
    columns(M, N, K, a, b, apart, c, step, 4);
    b += bRow;
    c += 4;
  }
  b += apart * 3;
  c += step * 3;
  for (let j = quarter << 2; j < n; j++) {
    columns(M, N, K, a, b, 0, c, 0, 1);
    b += bRow;
    c += 4;
  }
}

// @ts-ignore: decorator
@inline
function columns(M: i32, N: i32, K: i32, a: usize, b: usize, apart: usize, c: usize, step: usize, count: i32): void {
  if (M == 1) dotFour(K, a, b, apart, c, step, count);
  else fourColumns(M, K, a, b, apart, c, <usize>N << 2, step, count);
}
