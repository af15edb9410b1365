/**
 * @file Products with few rows of A, as in decoding one byte at a time. B is read once, from memory, so nothing is packed:
 * the limit is how fast B arrives. Four streams in different pages, each read from one end to the other, are what the processor
 * fetches ahead best, so four rows (or columns) of B pass together that lie a quarter of B apart.
 */
import { sums, wide } from '../core/call';
import { madd, storeTail, sumEach } from '../core/simd';

/** Up to this many rows of A the product is done here. */
export const FEW_ROWS = 8;
/** Columns done together where rows of B are contiguous, for one row of A: so much of C stays in the first-level cache. */
const STRIP = 4096;
/** Columns done together for more rows, which read four rows of B that wide from the first-level cache. */
const SHARED_STRIP = 1024;
/** c[0:N] += a[0] b[0] + a[1] b[1] + a[2] b[2] + a[3] b[3]; values of a are `ak`, rows of B `apart` bytes from one another. */
function addFourRows(N: i32, a: usize, ak: usize, b: usize, apart: usize, c: usize): void {
  const a0 = v128.load_splat<f32>(a), a1 = v128.load_splat<f32>(a + ak);
  const a2 = v128.load_splat<f32>(a + ak * 2), a3 = v128.load_splat<f32>(a + ak * 3);
  const two = apart * 2, three = apart * 3;
  for (const end = c + (<usize>(N & ~7) << 2); c < end; c += 32) {
    let y0 = v128.load(c), y1 = v128.load(c, 16);
    y0 = madd(a0, v128.load(b), y0);
    y1 = madd(a0, v128.load(b, 16), y1);
    y0 = madd(a1, v128.load(b + apart), y0);
    y1 = madd(a1, v128.load(b + apart, 16), y1);
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
    y = madd(a1, v128.load(b + apart), y);
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

/** p[0:n] = 0. For short rows, where a call of memory.fill would take longer than the work. */
function clear(p: usize, n: i32): void {
  const zero = f32x4.splat(0);
  const end = p + (<usize>(n & ~3) << 2);
  for (; p < end; p += 16) v128.store(p, zero);
  if (n & 3) storeTail(p, zero, n & 3);
}

/** C (+)= A B, rows of B contiguous: B passes once, the rows of C stay in the cache. */
function timesRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, c: usize, cm: usize, add: bool): void {
  if (!add) for (let i = 0; i < M; i++) clear(c + i * cm, N);
  const strip = M == 1 ? STRIP : SHARED_STRIP;
  for (; N > 0; N -= strip) {
    const n = min(strip, N);
    addQuarters(M, n, K, a, am, b, bk, c, cm);
    b += <usize>strip << 2;
    c += <usize>strip << 2;
  }
}

/** C += A B: of B four rows pass at a time, by all rows of A, that lie a quarter of B apart. */
function addQuarters(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, c: usize, cm: usize): void {
  const quarter = K >> 2;
  const apart = quarter * bk, ak = <usize>quarter << 2;
  for (let k = 0; k < quarter; k++) {
    for (let i = 0; i < M; i++) addFourRows(N, a + i * am, ak, b, apart, c + i * cm);
    a += 4;
    b += bk;
  }
  a += ak * 3;
  b += apart * 3;
  for (let k = quarter << 2; k < K; k++) {
    for (let i = 0; i < M; i++) addRow(N, a + i * am, b, c + i * cm);
    a += 4;
    b += bk;
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

/**
 * 8 partial sums each of the dot products of a with four columns of B, over K & ~7 terms, to `to`. Stored, because only pairs that end
 * in neighbouring addresses become 256-bit operations: see tile-6x16.ts.
 */
function dotFour(K: i32, a: usize, b0: usize, apart: usize, to: usize): void {
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  let at: usize = 0;
  for (const end = <usize>(K & ~7) << 2; at < end; at += 32) {
    const x = v128.load(a + at), y = v128.load(a + at, 16);
    s0 = madd(x, v128.load(b0 + at), s0);
    t0 = madd(y, v128.load(b0 + at, 16), t0);
    s1 = madd(x, v128.load(b1 + at), s1);
    t1 = madd(y, v128.load(b1 + at, 16), t1);
    s2 = madd(x, v128.load(b2 + at), s2);
    t2 = madd(y, v128.load(b2 + at, 16), t2);
    s3 = madd(x, v128.load(b3 + at), s3);
    t3 = madd(y, v128.load(b3 + at, 16), t3);
  }
  v128.store(to, s0);
  v128.store(to, t0, 16);
  v128.store(to, s1, 32);
  v128.store(to, t1, 48);
  v128.store(to, s2, 64);
  v128.store(to, t2, 80);
  v128.store(to, s3, 96);
  v128.store(to, t3, 112);
}

/** 8 partial sums as 4. */
// @ts-ignore: decorator
@inline
function fold8(p: usize): v128 {
  return f32x4.add(v128.load(p), v128.load(p, 16));
}

/** The sums of dotFour as single vectors, two folded into one, and each vector's lanes added up. */
function dotFourSingle(K: i32, a: usize, b0: usize, apart: usize): v128 {
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
  return sumEach(f32x4.add(s0, t0), f32x4.add(s1, t1), f32x4.add(s2, t2), f32x4.add(s3, t3));
}

/** Dot products of the row a with four columns of B, `apart` bytes from one another, to c[0], c[step], ... */
export function rowTimesFour(K: i32, a: usize, b0: usize, apart: usize, c: usize, step: usize, count: i32, add: bool): void {
  let four: v128;
  if (wide) {
    const p = sums();
    dotFour(K, a, b0, apart, p);
    four = sumEach(fold8(p), fold8(p + 32), fold8(p + 64), fold8(p + 96));
  } else four = dotFourSingle(K, a, b0, apart);
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  let at = <usize>(K & ~7) << 2;
  for (let left = K & 7; left > 0; left--) {
    const w = f32x4(load<f32>(b0 + at), load<f32>(b1 + at), load<f32>(b2 + at), load<f32>(b3 + at));
    four = madd(v128.load_splat<f32>(a + at), w, four);
    at += 4;
  }
  putApart(c, step, four, count, add);
}

/**
 * 8 partial sums each of the dot products of two rows of A with four columns of B, over K & ~7 terms, to `to`: row, then column. In
 * pairs.
 */
function dotEight(K: i32, a: usize, am: usize, b0: usize, apart: usize, to: usize): void {
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s02 = f32x4.splat(0), s03 = f32x4.splat(0);
  let t00 = f32x4.splat(0), t01 = f32x4.splat(0), t02 = f32x4.splat(0), t03 = f32x4.splat(0);
  let s10 = f32x4.splat(0), s11 = f32x4.splat(0), s12 = f32x4.splat(0), s13 = f32x4.splat(0);
  let t10 = f32x4.splat(0), t11 = f32x4.splat(0), t12 = f32x4.splat(0), t13 = f32x4.splat(0);
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  let at: usize = 0;
  for (const end = <usize>(K & ~7) << 2; at < end; at += 32) {
    const x0 = v128.load(a + at), x1 = v128.load(a + at, 16);
    const y0 = v128.load(a + at + am), y1 = v128.load(a + at + am, 16);
    let w0 = v128.load(b0 + at), w1 = v128.load(b0 + at, 16);
    s00 = madd(x0, w0, s00); t00 = madd(x1, w1, t00); s10 = madd(y0, w0, s10); t10 = madd(y1, w1, t10);
    w0 = v128.load(b1 + at); w1 = v128.load(b1 + at, 16);
    s01 = madd(x0, w0, s01); t01 = madd(x1, w1, t01); s11 = madd(y0, w0, s11); t11 = madd(y1, w1, t11);
    w0 = v128.load(b2 + at); w1 = v128.load(b2 + at, 16);
    s02 = madd(x0, w0, s02); t02 = madd(x1, w1, t02); s12 = madd(y0, w0, s12); t12 = madd(y1, w1, t12);
    w0 = v128.load(b3 + at); w1 = v128.load(b3 + at, 16);
    s03 = madd(x0, w0, s03); t03 = madd(x1, w1, t03); s13 = madd(y0, w0, s13); t13 = madd(y1, w1, t13);
  }
  v128.store(to, s00); v128.store(to, t00, 16); v128.store(to, s01, 32); v128.store(to, t01, 48);
  v128.store(to, s02, 64); v128.store(to, t02, 80); v128.store(to, s03, 96); v128.store(to, t03, 112);
  v128.store(to, s10, 128); v128.store(to, t10, 144); v128.store(to, s11, 160); v128.store(to, t11, 176);
  v128.store(to, s12, 192); v128.store(to, t12, 208); v128.store(to, s13, 224); v128.store(to, t13, 240);
}

/** The first 4 of each 8 of these partial sums; from 16 bytes on in a, b0 and `to`, the others. Single vectors. */
function dotFourOfEight(K: i32, a: usize, am: usize, b0: usize, apart: usize, to: usize): void {
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s02 = f32x4.splat(0), s03 = f32x4.splat(0);
  let s10 = f32x4.splat(0), s11 = f32x4.splat(0), s12 = f32x4.splat(0), s13 = f32x4.splat(0);
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  let at: usize = 0;
  for (const end = <usize>(K & ~7) << 2; at < end; at += 32) {
    const x = v128.load(a + at), y = v128.load(a + at + am);
    let w = v128.load(b0 + at);
    s00 = madd(x, w, s00); s10 = madd(y, w, s10);
    w = v128.load(b1 + at);
    s01 = madd(x, w, s01); s11 = madd(y, w, s11);
    w = v128.load(b2 + at);
    s02 = madd(x, w, s02); s12 = madd(y, w, s12);
    w = v128.load(b3 + at);
    s03 = madd(x, w, s03); s13 = madd(y, w, s13);
  }
  v128.store(to, s00); v128.store(to, s01, 32); v128.store(to, s02, 64); v128.store(to, s03, 96);
  v128.store(to, s10, 128); v128.store(to, s11, 160); v128.store(to, s12, 192); v128.store(to, s13, 224);
}

/** rowTimesFour for two rows of A, `am` bytes apart, and of C, `cm` bytes apart. */
export function twoRowsTimesFour(K: i32, a: usize, am: usize, b0: usize, apart: usize, c: usize, cm: usize, step: usize, count: i32,
  add: bool): void {
  const b1 = b0 + apart, b2 = b1 + apart, b3 = b2 + apart;
  const p = sums();
  if (wide) dotEight(K, a, am, b0, apart, p);
  else {
    dotFourOfEight(K, a, am, b0, apart, p);
    dotFourOfEight(K, a + 16, am, b0 + 16, apart, p + 16);
  }
  let s = sumEach(fold8(p), fold8(p + 32), fold8(p + 64), fold8(p + 96));
  let t = sumEach(fold8(p + 128), fold8(p + 160), fold8(p + 192), fold8(p + 224));
  const other = a + am;
  let at = <usize>(K & ~7) << 2;
  for (let left = K & 7; left > 0; left--) {
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

/** C (+)= A B, columns of B contiguous: four columns a quarter of B apart pass at a time, by all rows of A. */
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

/** C (+)= A B for few contiguous rows of A. B has contiguous rows (bn = 4) or contiguous columns (bk = 4). */
export function fewRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, bn: usize,
  c: usize, cm: usize, add: bool): void {
  if (bn == 4) timesRows(M, N, K, a, am, b, bk, c, cm, add);
  else timesColumns(M, N, K, a, am, b, bn, c, cm, add);
}
