/**
 * @file Products of one or two rows of A with a B whose columns are contiguous, each element summed from the first k to the last. Four
 * columns of B become lanes: of four values of each, read where they lie, four vectors are made by shuffles. An element is the same sum
 * in the same order as in rows-as-lanes.ts, where so few rows would leave most lanes empty.
 */
import { madd, storeTail } from '../core/simd';
import { KC, evenBlock } from './gemm';

/** Up to this many rows of A the columns of B become the lanes. */
export const MOST_ROWS = 2;

/** sum + the products of x0 .. x3 with four values each of the four columns at b, `bn` bytes apart. */
// @ts-ignore: decorator
@inline
function addFour(sum: v128, x0: v128, x1: v128, x2: v128, x3: v128, b0: usize, b1: usize, b2: usize, b3: usize): v128 {
  const r0 = v128.load(b0), r1 = v128.load(b1), r2 = v128.load(b2), r3 = v128.load(b3);
  const t0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), t1 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const t2 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), t3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  sum = madd(x0, v128.shuffle<f64>(t0, t2, 0, 2), sum);
  sum = madd(x1, v128.shuffle<f64>(t0, t2, 1, 3), sum);
  sum = madd(x2, v128.shuffle<f64>(t1, t3, 0, 2), sum);
  return madd(x3, v128.shuffle<f64>(t1, t3, 1, 3), sum);
}

/** The values at four addresses. */
// @ts-ignore: decorator
@inline
function gather(b0: usize, b1: usize, b2: usize, b3: usize): v128 {
  return f32x4(load<f32>(b0), load<f32>(b1), load<f32>(b2), load<f32>(b3));
}

/** Writes or adds `count` of four sums. */
// @ts-ignore: decorator
@inline
function put(c: usize, sum: v128, count: i32, add: bool): void {
  if (add) sum = f32x4.add(v128.load(c), sum);
  if (count >= 4) v128.store(c, sum);
  else storeTail(c, sum, count);
}

/** c[0:16] (+)= a B: four groups of four columns, because a single sum would wait for its last product. */
function rowTimes16(K: i32, a: usize, b: usize, bn: usize, c: usize, add: bool): void {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  const two = bn * 2, three = bn * 3, four = bn * 4;
  let k = 0;
  for (; k + 4 <= K; k += 4) {
    const x0 = v128.load_splat<f32>(a), x1 = v128.load_splat<f32>(a, 4);
    const x2 = v128.load_splat<f32>(a, 8), x3 = v128.load_splat<f32>(a, 12);
    let p = b;
    s0 = addFour(s0, x0, x1, x2, x3, p, p + bn, p + two, p + three);
    p += four;
    s1 = addFour(s1, x0, x1, x2, x3, p, p + bn, p + two, p + three);
    p += four;
    s2 = addFour(s2, x0, x1, x2, x3, p, p + bn, p + two, p + three);
    p += four;
    s3 = addFour(s3, x0, x1, x2, x3, p, p + bn, p + two, p + three);
    a += 16;
    b += 16;
  }
  for (; k < K; k++) {
    const x = v128.load_splat<f32>(a);
    let p = b;
    s0 = madd(x, gather(p, p + bn, p + two, p + three), s0);
    p += four;
    s1 = madd(x, gather(p, p + bn, p + two, p + three), s1);
    p += four;
    s2 = madd(x, gather(p, p + bn, p + two, p + three), s2);
    p += four;
    s3 = madd(x, gather(p, p + bn, p + two, p + three), s3);
    a += 4;
    b += 4;
  }
  put(c, s0, 4, add);
  put(c + 16, s1, 4, add);
  put(c + 32, s2, 4, add);
  put(c + 48, s3, 4, add);
}

/** One row times four columns, of which `count` exist; the others repeat the last. */
function rowTimesFour(K: i32, a: usize, b0: usize, bn: usize, c: usize, count: i32, add: bool): void {
  let b1 = count > 1 ? b0 + bn : b0, b2 = count > 2 ? b1 + bn : b1, b3 = count > 3 ? b2 + bn : b2;
  let sum = f32x4.splat(0);
  let k = 0;
  for (; k + 4 <= K; k += 4) {
    sum = addFour(sum, v128.load_splat<f32>(a), v128.load_splat<f32>(a, 4), v128.load_splat<f32>(a, 8), v128.load_splat<f32>(a, 12),
      b0, b1, b2, b3);
    a += 16;
    b0 += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
  }
  for (; k < K; k++) {
    sum = madd(v128.load_splat<f32>(a), gather(b0, b1, b2, b3), sum);
    a += 4;
    b0 += 4;
    b1 += 4;
    b2 += 4;
    b3 += 4;
  }
  put(c, sum, count, add);
}

/** C = A B or C = C + A B for at most MOST_ROWS contiguous rows of A, columns of B contiguous and `bn` bytes apart. */
export function columnsAsLanes(M: i32, N: i32, K: i32, a: usize, am: usize, b: usize, bn: usize, c: usize, cm: usize, add: bool): void {
  const kBlock = evenBlock(K, KC, 4);
  for (let l = 0; l < K; l += kBlock) {
    const k = min(kBlock, K - l);
    const accumulate = add || l > 0;
    const aBlock = a + (<usize>l << 2), bBlock = b + (<usize>l << 2);
    for (let i = 0; i < M; i++) {
      let j = 0;
      for (; j + 16 <= N; j += 16) rowTimes16(k, aBlock + i * am, bBlock + j * bn, bn, c + i * cm + (<usize>j << 2), accumulate);
      for (; j < N; j += 4) rowTimesFour(k, aBlock + i * am, bBlock + j * bn, bn, c + i * cm + (<usize>j << 2), N - j, accumulate);
    }
  }
}
