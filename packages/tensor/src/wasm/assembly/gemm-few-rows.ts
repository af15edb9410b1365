/**
 * @file Products with few rows of A, as in decoding one byte at a time. B is read once, from memory, so nothing is packed:
 * the limit is how fast B arrives.
 */
import { madd, storeTail, sumEach } from './simd';

/** Up to this many rows of A the product is done here. */
export const FEW_ROWS = 8;
/** Columns done together where rows of B are contiguous: four rows of B that wide stay in the first-level cache. */
const STRIP = 512;
/** A matrix of at most this many columns (the values of a head) is read in strips of 32. */
const NARROW = 128;

/** c[0:N] += a[0] b[0] + a[1] b[1] + a[2] b[2] + a[3] b[3], rows of B `row` bytes apart. */
function addFourRows(N: i32, a: usize, b: usize, row: usize, c: usize): void {
  const a0 = v128.load_splat<f32>(a), a1 = v128.load_splat<f32>(a, 4);
  const a2 = v128.load_splat<f32>(a, 8), a3 = v128.load_splat<f32>(a, 12);
  const end = c + (<usize>(N & ~3) << 2);
  while (c < end) {
    let y = madd(a0, v128.load(b), v128.load(c));
    y = madd(a1, v128.load(b + row), y);
    y = madd(a2, v128.load(b + row * 2), y);
    y = madd(a3, v128.load(b + row * 3), y);
    v128.store(c, y);
    b += 16;
    c += 16;
  }
  if (N & 3) {
    let y = madd(a0, v128.load(b), v128.load(c));
    y = madd(a1, v128.load(b + row), y);
    y = madd(a2, v128.load(b + row * 2), y);
    y = madd(a3, v128.load(b + row * 3), y);
    storeTail(c, y, N & 3);
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

/** c[0:32] += sum over k of a[k] b[k][0:32], rows of B `row` bytes apart: the sums stay in registers. */
function addRowsOf32(K: i32, a: usize, b: usize, row: usize, c: usize): void {
  let c0 = v128.load(c), c1 = v128.load(c, 16), c2 = v128.load(c, 32), c3 = v128.load(c, 48);
  let c4 = v128.load(c, 64), c5 = v128.load(c, 80), c6 = v128.load(c, 96), c7 = v128.load(c, 112);
  for (const end = a + (<usize>K << 2); a < end; a += 4) {
    const x = v128.load_splat<f32>(a);
    c0 = madd(x, v128.load(b), c0);
    c1 = madd(x, v128.load(b, 16), c1);
    c2 = madd(x, v128.load(b, 32), c2);
    c3 = madd(x, v128.load(b, 48), c3);
    c4 = madd(x, v128.load(b, 64), c4);
    c5 = madd(x, v128.load(b, 80), c5);
    c6 = madd(x, v128.load(b, 96), c6);
    c7 = madd(x, v128.load(b, 112), c7);
    b += row;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
  v128.store(c, c4, 64);
  v128.store(c, c5, 80);
  v128.store(c, c6, 96);
  v128.store(c, c7, 112);
}

/** p[0:n] = 0. For short rows, where a call of memory.fill would take longer than the work. */
function clear(p: usize, n: i32): void {
  const zero = f32x4.splat(0);
  const end = p + (<usize>(n & ~3) << 2);
  for (; p < end; p += 16) v128.store(p, zero);
  if (n & 3) storeTail(p, zero, n & 3);
}

/** C (+)= A B, rows of B contiguous: B passes once from top to bottom, the rows of C stay in the cache. */
export function timesRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, c: usize, cm: usize, add: bool): void {
  if (!add) for (let i = 0; i < M; i++) clear(c + i * cm, N);
  if (N <= NARROW) {
    for (; N >= 32; N -= 32) {
      for (let i = 0; i < M; i++) addRowsOf32(K, a + i * am, b, bk, c + i * cm);
      b += 128;
      c += 128;
    }
    if (N == 0) return;
  }
  for (let j = 0; j < N; j += STRIP) {
    const n = min(STRIP, N - j);
    const to = c + (<usize>j << 2);
    let from = b + (<usize>j << 2);
    let k = 0;
    for (; k + 4 <= K; k += 4) {
      for (let i = 0; i < M; i++) addFourRows(n, a + i * am + (<usize>k << 2), from, bk, to + i * cm);
      from += bk * 4;
    }
    for (; k < K; k++) {
      for (let i = 0; i < M; i++) addRow(n, a + i * am + (<usize>k << 2), from, to + i * cm);
      from += bk;
    }
  }
}

/** Sums to (or added to) c[0], c[step], ...; the first `count` of them. */
// @ts-ignore: decorator
@inline
function putApart(c: usize, step: usize, sums: v128, count: i32, add: bool): void {
  store<f32>(c, f32x4.extract_lane(sums, 0) + (add ? load<f32>(c) : 0));
  if (count == 1) return;
  store<f32>(c + step, f32x4.extract_lane(sums, 1) + (add ? load<f32>(c + step) : 0));
  store<f32>(c + step * 2, f32x4.extract_lane(sums, 2) + (add ? load<f32>(c + step * 2) : 0));
  store<f32>(c + step * 3, f32x4.extract_lane(sums, 3) + (add ? load<f32>(c + step * 3) : 0));
}

/** Dot products of the row a with four columns of B, `apart` bytes from one another, to c[0], c[step], ... */
export function rowTimesFour(K: i32, a: usize, b0: usize, apart: usize, c: usize, step: usize, count: i32, add: bool): void {
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  let at: usize = 0;
  for (const end = <usize>(K & ~7) << 2; at < end; at += 32) {
    const x = v128.load(a + at);
    s0 = madd(x, v128.load(b0 + at), s0);
    s1 = madd(x, v128.load(b1 + at), s1);
    s2 = madd(x, v128.load(b2 + at), s2);
    s3 = madd(x, v128.load(b3 + at), s3);
    const y = v128.load(a + at, 16);
    t0 = madd(y, v128.load(b0 + at, 16), t0);
    t1 = madd(y, v128.load(b1 + at, 16), t1);
    t2 = madd(y, v128.load(b2 + at, 16), t2);
    t3 = madd(y, v128.load(b3 + at, 16), t3);
  }
  let four = sumEach(f32x4.add(s0, t0), f32x4.add(s1, t1), f32x4.add(s2, t2), f32x4.add(s3, t3));
  for (let k = K & ~7; k < K; k++) {
    const w = f32x4(load<f32>(b0 + at), load<f32>(b1 + at), load<f32>(b2 + at), load<f32>(b3 + at));
    four = madd(v128.load_splat<f32>(a + at), w, four);
    at += 4;
  }
  putApart(c, step, four, count, add);
}

/** The same for two rows of A, `am` bytes apart, and of C, `cm` bytes apart. */
export function twoRowsTimesFour(K: i32, a: usize, am: usize, b0: usize, apart: usize, c: usize, cm: usize, step: usize, count: i32,
  add: bool): void {
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  const other = a + am;
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  let at: usize = 0;
  for (const end = <usize>(K & ~3) << 2; at < end; at += 16) {
    const x = v128.load(a + at), y = v128.load(other + at);
    let w = v128.load(b0 + at);
    s0 = madd(x, w, s0);
    t0 = madd(y, w, t0);
    w = v128.load(b1 + at);
    s1 = madd(x, w, s1);
    t1 = madd(y, w, t1);
    w = v128.load(b2 + at);
    s2 = madd(x, w, s2);
    t2 = madd(y, w, t2);
    w = v128.load(b3 + at);
    s3 = madd(x, w, s3);
    t3 = madd(y, w, t3);
  }
  let s = sumEach(s0, s1, s2, s3), t = sumEach(t0, t1, t2, t3);
  for (let k = K & ~3; k < K; k++) {
    const w = f32x4(load<f32>(b0 + at), load<f32>(b1 + at), load<f32>(b2 + at), load<f32>(b3 + at));
    s = madd(v128.load_splat<f32>(a + at), w, s);
    t = madd(v128.load_splat<f32>(other + at), w, t);
    at += 4;
  }
  putApart(c, step, s, count, add);
  putApart(c + cm, step, t, count, add);
}

/** Four columns of C, or `count` of them: two rows of A at a time. */
// @ts-ignore: decorator
@inline
function fourColumns(M: i32, K: i32, a: usize, am: usize, b: usize, apart: usize, c: usize, cm: usize, step: usize, count: i32,
  add: bool): void {
  let i = 0;
  for (; i + 2 <= M; i += 2) twoRowsTimesFour(K, a + i * am, am, b, apart, c + i * cm, cm, step, count, add);
  if (i < M) rowTimesFour(K, a + i * am, b, apart, c + i * cm, step, count, add);
}

/**
 * C (+)= A B, columns of B contiguous. Four columns pass at a time, by all rows of A, and they lie a quarter of B apart: four
 * streams in different pages, each read from one end to the other, are what the processor fetches ahead best (neighbouring columns
 * take up to twice as long where B is not in a cache).
 */
function timesColumns(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bn: usize, c: usize, cm: usize, add: bool): void {
  const quarter = N >> 2;
  const apart = quarter * bn, step = <usize>quarter << 2;
  for (let j = 0; j < quarter; j++) {
    fourColumns(M, K, a, am, b, apart, c, cm, step, 4, add);
    b += bn;
    c += 4;
  }
  b += apart * 3;
  c += step * 3;
  for (let j = quarter << 2; j < N; j++) {
    fourColumns(M, K, a, am, b, 0, c, cm, 0, 1, add);
    b += bn;
    c += 4;
  }
}

/** c (+)= a B for one row a, columns of B contiguous. */
export function rowTimesColumns(N: i32, K: i32, a: usize, b: usize, bn: usize, c: usize, add: bool): void {
  timesColumns(1, N, K, a, 0, b, bn, c, 0, add);
}

/** C (+)= A B for few contiguous rows of A. B has contiguous rows (bn = 4) or contiguous columns (bk = 4). */
export function fewRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, bn: usize,
  c: usize, cm: usize, add: bool): void {
  if (bn == 4) timesRows(M, N, K, a, am, b, bk, c, cm, add);
  else timesColumns(M, N, K, a, am, b, bn, c, cm, add);
}
