/**
 * @file Products with few rows of A, as in decoding one byte at a time. B is read once, from memory, so nothing is packed:
 * the limit is how fast B arrives.
 */
import { madd, storeTail, sumLanes } from './simd';

/** Up to this many rows of A the product is done here. */
export const FEW_ROWS = 4;

/** c[0:N] (+)= a[0:K] B, rows of B contiguous: 32 columns at a time. */
function rowTimesRows(N: i32, K: i32, a: usize, b: usize, bk: usize, c: usize, add: bool): void {
  let j = 0;
  for (; j + 32 <= N; j += 32) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let s4 = f32x4.splat(0), s5 = f32x4.splat(0), s6 = f32x4.splat(0), s7 = f32x4.splat(0);
    let p = b + (<usize>j << 2);
    const end = a + (<usize>K << 2);
    for (let x = a; x < end; x += 4) {
      const s = v128.load_splat<f32>(x);
      s0 = madd(s, v128.load(p), s0);
      s1 = madd(s, v128.load(p, 16), s1);
      s2 = madd(s, v128.load(p, 32), s2);
      s3 = madd(s, v128.load(p, 48), s3);
      s4 = madd(s, v128.load(p, 64), s4);
      s5 = madd(s, v128.load(p, 80), s5);
      s6 = madd(s, v128.load(p, 96), s6);
      s7 = madd(s, v128.load(p, 112), s7);
      p += bk;
    }
    const to = c + (<usize>j << 2);
    put(to, s0, add);
    put(to + 16, s1, add);
    put(to + 32, s2, add);
    put(to + 48, s3, add);
    put(to + 64, s4, add);
    put(to + 80, s5, add);
    put(to + 96, s6, add);
    put(to + 112, s7, add);
  }
  for (; j < N; j += 4) {
    let s0 = f32x4.splat(0);
    let p = b + (<usize>j << 2);
    const end = a + (<usize>K << 2);
    for (let x = a; x < end; x += 4) {
      s0 = madd(v128.load_splat<f32>(x), v128.load(p), s0);
      p += bk;
    }
    const to = c + (<usize>j << 2);
    if (j + 4 <= N) put(to, s0, add);
    else storeTail(to, add ? f32x4.add(s0, v128.load(to)) : s0, N - j);
  }
}

// @ts-ignore: decorator
@inline
function put(p: usize, x: v128, add: bool): void {
  v128.store(p, add ? f32x4.add(v128.load(p), x) : x);
}

/** c[j] (+)= a . B[:, j], columns of B contiguous: four dot products at a time. */
function rowTimesColumns(N: i32, K: i32, a: usize, b: usize, bn: usize, c: usize, add: bool): void {
  const whole = K & ~7;
  for (let j = 0; j < N; j += 4) {
    const columns = min(4, N - j);
    const b0 = b + j * bn;
    const b1 = columns > 1 ? b0 + bn : b0;
    const b2 = columns > 2 ? b1 + bn : b1;
    const b3 = columns > 3 ? b2 + bn : b2;
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
    let at: usize = 0;
    const end = <usize>whole << 2;
    for (; at < end; at += 32) {
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
    let r0 = sumLanes(f32x4.add(s0, t0));
    let r1 = sumLanes(f32x4.add(s1, t1));
    let r2 = sumLanes(f32x4.add(s2, t2));
    let r3 = sumLanes(f32x4.add(s3, t3));
    for (let k = whole; k < K; k++) {
      const x = load<f32>(a + at);
      r0 += x * load<f32>(b0 + at);
      r1 += x * load<f32>(b1 + at);
      r2 += x * load<f32>(b2 + at);
      r3 += x * load<f32>(b3 + at);
      at += 4;
    }
    const to = c + (<usize>j << 2);
    const four = f32x4(r0, r1, r2, r3);
    if (columns == 4) put(to, four, add);
    else storeTail(to, add ? f32x4.add(four, v128.load(to)) : four, columns);
  }
}

/** C (+)= A B for M <= 4 contiguous rows of A. B has contiguous rows (bn = 4) or contiguous columns (bk = 4). */
export function fewRows(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bk: usize, bn: usize,
  c: usize, cm: usize, add: bool): void {
  // Strips of columns whose part of B stays in the cache for the next row of A.
  const strip = M == 1 ? N : 32;
  for (let j = 0; j < N; j += strip) {
    const n = min(strip, N - j);
    for (let i = 0; i < M; i++) {
      const to = c + i * cm + (<usize>j << 2);
      if (bn == 4) rowTimesRows(n, K, a + i * am, b + (<usize>j << 2), bk, to, add);
      else rowTimesColumns(n, K, a + i * am, b + j * bn, bn, to, add);
    }
  }
}
