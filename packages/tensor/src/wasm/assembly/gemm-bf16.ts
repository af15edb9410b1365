/**
 * @file Products of few rows of A with a matrix whose values are kept as BF16, the upper halves of floats: a product of few rows takes
 * as long as its matrix takes to arrive, and this one is half as long. Sums are of floats, as everywhere.
 */
import { int, partBegin, pointer, scratch, sums } from './call';
import { fold16, rowTimesFour, twoRowsTimesFour } from './gemm-few-rows';
import { madd, sumEach } from './simd';

/** The upper half of a word; in memory for the reason given at EXP in simd.ts. */
const UPPER = memory.data<u32>([0xffff0000]);

/** The values at even places (the lower halves of the words), and those at odd places. */
// @ts-ignore: decorator
@inline
function evenValues(words: v128): v128 {
  return i32x4.shl(words, 16);
}
// @ts-ignore: decorator
@inline
function oddValues(words: v128): v128 {
  return v128.and(words, v128.load_splat<u32>(UPPER));
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
  const n = int(2);
  const begin = partBegin(n, 1024, part, parts);
  const count = partBegin(n, 1024, part + 1, parts) - begin;
  widen(pointer(0) + (<usize>begin << 2), pointer(1) + (<usize>begin << 1), count);
}

/** Each 16 values of a row: the eight at even places, then the eight at odd ones. Of a last 8, the four at even places first. */
function separate(to: usize, from: usize, K: i32): void {
  for (const end = to + (<usize>(K & ~15) << 2); to < end; to += 64) {
    const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
    v128.store(to, v128.shuffle<f32>(x0, x1, 0, 2, 4, 6));
    v128.store(to, v128.shuffle<f32>(x2, x3, 0, 2, 4, 6), 16);
    v128.store(to, v128.shuffle<f32>(x0, x1, 1, 3, 5, 7), 32);
    v128.store(to, v128.shuffle<f32>(x2, x3, 1, 3, 5, 7), 48);
    from += 64;
  }
  if (K & 8) {
    const x0 = v128.load(from), x1 = v128.load(from, 16);
    v128.store(to, v128.shuffle<f32>(x0, x1, 0, 2, 4, 6));
    v128.store(to, v128.shuffle<f32>(x0, x1, 1, 3, 5, 7), 16);
  }
}

/** 16 partial sums each of the dot products of a separated row with two rows of B, over K & ~15 terms, to `to`; in pairs. */
function dotTwo(K: i32, a: usize, b0: usize, b1: usize, to: usize): void {
  let s0 = f32x4.splat(0), t0 = f32x4.splat(0), u0 = f32x4.splat(0), v0 = f32x4.splat(0);
  let s1 = f32x4.splat(0), t1 = f32x4.splat(0), u1 = f32x4.splat(0), v1 = f32x4.splat(0);
  let at: usize = 0;
  for (const end = <usize>(K & ~15) << 1; at < end; at += 32) {
    const x0 = v128.load(a), x1 = v128.load(a, 16), y0 = v128.load(a, 32), y1 = v128.load(a, 48);
    let w0 = v128.load(b0 + at), w1 = v128.load(b0 + at, 16);
    s0 = madd(x0, evenValues(w0), s0);
    t0 = madd(x1, evenValues(w1), t0);
    u0 = madd(y0, oddValues(w0), u0);
    v0 = madd(y1, oddValues(w1), v0);
    w0 = v128.load(b1 + at);
    w1 = v128.load(b1 + at, 16);
    s1 = madd(x0, evenValues(w0), s1);
    t1 = madd(x1, evenValues(w1), t1);
    u1 = madd(y0, oddValues(w0), u1);
    v1 = madd(y1, oddValues(w1), v1);
    a += 64;
  }
  v128.store(to, s0);
  v128.store(to, t0, 16);
  v128.store(to, u0, 32);
  v128.store(to, v0, 48);
  v128.store(to, s1, 64);
  v128.store(to, t1, 80);
  v128.store(to, u1, 96);
  v128.store(to, v1, 112);
}

/** 16 partial sums as 4, and if 8 more terms are left, these: of the separated x and the row of B at b. */
// @ts-ignore: decorator
@inline
function foldRest(p: usize, rest: bool, x: usize, b: usize): v128 {
  const sum = fold16(p);
  if (!rest) return sum;
  const words = v128.load(b);
  return madd(v128.load(x, 16), oddValues(words), madd(v128.load(x), evenValues(words), sum));
}

/** Dot products of a separated row with four rows of B, `apart` bytes from one another, to c[0], c[step], ... */
function dotFour(K: i32, a: usize, b0: usize, apart: usize, c: usize, step: usize, count: i32): void {
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  const p = sums();
  dotTwo(K, a, b0, b1, p);
  if (count > 1) dotTwo(K, a, b2, b3, p + 128);
  const done = <usize>(K & ~15) << 1;
  const rest = (K & 8) != 0;
  const x = a + done * 2;
  const four = sumEach(
    foldRest(p, rest, x, b0 + done), foldRest(p + 64, rest, x, b1 + done),
    foldRest(p + 128, rest, x, b2 + done), foldRest(p + 192, rest, x, b3 + done));
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
 * Kernel: C [M, N] = A B^T. Threads take columns of C; as in gemm-few-rows.ts four columns a quarter apart pass at a time.
 * Arguments: a [M, K] floats, b [N, K] BF16, c, M, N, K (a multiple of 8, at most 65536).
 */
export function matmulBf16(part: i32, parts: i32): void {
  const M = int(3), N = int(4), K = int(5);
  const begin = partBegin(N, 4, part, parts);
  const n = partBegin(N, 4, part + 1, parts) - begin;
  const quarter = n >> 2;
  const bRow = <usize>K << 1;
  const apart = quarter * bRow, step = <usize>quarter << 2;
  const a = M == 1 ? scratch() : pointer(0);
  if (M == 1) separate(a, pointer(0), K);
  let b = pointer(1) + begin * bRow, c = pointer(2) + (<usize>begin << 2);
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
