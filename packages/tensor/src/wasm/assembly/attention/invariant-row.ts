/**
 * @file Attention of a row alone, in both modes: its keys and values are read where they lie, for some heads together. Sums have the order
 * of the groups in invariant.ts, so it is batch-invariant.
 */
import * as args from '../../arguments/attention';
import { float, int, pointer, scratch } from '../core/call';
import { expFast, lanesBelow, log, madd } from '../core/simd';
import { rowMax, scaleRow } from '../softmax';
import { writeRow } from './single-row';

/** Query rows in a unit of work, and the most in a group. */
export const UNIT = 16;
/** Keys that a single row takes at a time. */
const ROW_BLOCK = 4096;
/** The widest head. */
const WIDEST: usize = 512;

/**
 * Keys of a row that are read for one head after the other. A head's part of a key is a piece of a row in memory, and the processor
 * fetches whole rows ahead: up to twice as fast where the keys of many texts are not in its caches.
 */
const STRETCH = 16;
/** The most heads of a row that are computed together. */
const MOST_HEADS = 4;

/** How many heads are computed together: the most of which two units for each thread are left. */
export function headsTogether(blocks: i32, heads: i32, parts: i32): i32 {
  let count = min(MOST_HEADS, heads);
  while (parts > 1 && count > 1 && blocks * ((heads + count - 1) / count) < 2 * parts) count--;
  return count;
}

/** Places in the scratch: a panel of queries, sums of values, maxima and sums, scores. */
export const SUMS_OF_VALUES: usize = WIDEST * UNIT * 4;
export const MAXIMA: usize = SUMS_OF_VALUES + WIDEST * UNIT * 4;
export const SCORES: usize = MAXIMA + 128;

/** The scaled query of a head of a row alone. */
// @ts-ignore: decorator
@inline
function queryOf(h: i32): usize {
  return scratch() + WIDEST * 4 * h;
}

/** Its sums of values. */
// @ts-ignore: decorator
@inline
function valuesOf(h: i32): usize {
  return scratch() + SUMS_OF_VALUES + WIDEST * 4 * h;
}

/** Its largest score, and 64 bytes on its sum of e^(s - max). */
// @ts-ignore: decorator
@inline
function maximumOf(h: i32): usize {
  return scratch() + MAXIMA + (<usize>h << 2);
}

/** Its scores, in whole eights. */
// @ts-ignore: decorator
@inline
function scoresOf(h: i32): usize {
  return scratch() + SCORES + <usize>((ROW_BLOCK + 8) << 2) * h;
}

/** The row's sum of e^(s - max) and their logarithm; 1 / sum, or 0 where nothing is seen. */
export function finish(head: i32, row: i32, most: f32, sum: f32, y: usize): void {
  const heads = int(args.heads), D = int(args.headDim);
  store<f32>(pointer(args.lse) + (<usize>(row * heads + head) << 2), sum == 0 ? 0 : <f32>(<f64>most + log(sum)));
  writeRow(pointer(args.out) + (<usize>((row * heads + head) * D) << 2), y, D, sum == 0 ? 0 : 1 / sum);
}

/** The scores of a scaled query against the keys at k0 .. k3, each as the four sums of `scoreInFours`. */
// @ts-ignore: decorator
@inline
function scoreFourKeys(s: usize, q: usize, k0: usize, k1: usize, k2: usize, k3: usize, D: i32): void {
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let at: usize = 0;
  for (const end = <usize>(D & ~3) << 2; at < end; at += 16) {
    const x = v128.load(q + at);
    s0 = madd(x, v128.load(k0 + at), s0);
    s1 = madd(x, v128.load(k1 + at), s1);
    s2 = madd(x, v128.load(k2 + at), s2);
    s3 = madd(x, v128.load(k3 + at), s3);
  }
  if (D & 3) {
    const x = v128.load(q + at), valid = lanesBelow(D & 3);
    s0 = madd(x, v128.and(v128.load(k0 + at), valid), s0);
    s1 = madd(x, v128.and(v128.load(k1 + at), valid), s1);
    s2 = madd(x, v128.and(v128.load(k2 + at), valid), s2);
    s3 = madd(x, v128.and(v128.load(k3 + at), valid), s3);
  }
  const t0 = v128.shuffle<f32>(s0, s1, 0, 4, 1, 5), t1 = v128.shuffle<f32>(s0, s1, 2, 6, 3, 7);
  const t2 = v128.shuffle<f32>(s2, s3, 0, 4, 1, 5), t3 = v128.shuffle<f32>(s2, s3, 2, 6, 3, 7);
  const two = f32x4.add(v128.shuffle<f64>(t0, t2, 0, 2), v128.shuffle<f64>(t0, t2, 1, 3));
  v128.store(s, f32x4.add(f32x4.add(two, v128.shuffle<f64>(t1, t3, 0, 2)), v128.shuffle<f64>(t1, t3, 1, 3)));
}

/** Scores of a scaled query, zeros behind it, against n keys, in whole fours. The keys are read where they lie. */
function scoreRow(s: usize, q: usize, k: usize, kRow: usize, n: i32, D: i32): void {
  for (let j = 0; j < n; j += 4) {
    // Keys beyond the last repeat it.
    const k1 = j + 1 < n ? k + kRow : k, k2 = j + 2 < n ? k1 + kRow : k1, k3 = j + 3 < n ? k2 + kRow : k2;
    scoreFourKeys(s, q, k, k1, k2, k3, D);
    s += 16;
    k = k3 + kRow;
  }
}

/** s becomes e^(s - max), n values in whole eights. */
function exponentials(s: usize, n: i32, most: f32): void {
  const shift = f32x4.splat(most);
  for (const end = s + (<usize>n << 2); s < end; s += 32) {
    const e0 = expFast(f32x4.sub(v128.load(s), shift)), e1 = expFast(f32x4.sub(v128.load(s, 16), shift));
    v128.store(s, e0);
    v128.store(s, e1, 16);
  }
}

/** y[0:32] += sum over n keys of e[key] v[key][0:32]; returns sum + the sum of e. */
function weigh32(e: usize, n: i32, v: usize, vRow: usize, y: usize, sum: f32): f32 {
  let y0 = v128.load(y), y1 = v128.load(y, 16), y2 = v128.load(y, 32), y3 = v128.load(y, 48);
  let y4 = v128.load(y, 64), y5 = v128.load(y, 80), y6 = v128.load(y, 96), y7 = v128.load(y, 112);
  for (const end = e + (<usize>n << 2); e < end; e += 4) {
    const x = v128.load_splat<f32>(e);
    sum += load<f32>(e);
    y0 = madd(x, v128.load(v), y0);
    y1 = madd(x, v128.load(v, 16), y1);
    y2 = madd(x, v128.load(v, 32), y2);
    y3 = madd(x, v128.load(v, 48), y3);
    y4 = madd(x, v128.load(v, 64), y4);
    y5 = madd(x, v128.load(v, 80), y5);
    y6 = madd(x, v128.load(v, 96), y6);
    y7 = madd(x, v128.load(v, 112), y7);
    v += vRow;
  }
  v128.store(y, y0);
  v128.store(y, y1, 16);
  v128.store(y, y2, 32);
  v128.store(y, y3, 48);
  v128.store(y, y4, 64);
  v128.store(y, y5, 80);
  v128.store(y, y6, 96);
  v128.store(y, y7, 112);
  return sum;
}

/** weigh32 for 4 columns, of which fewer may exist. */
function weigh4(e: usize, n: i32, v: usize, vRow: usize, y: usize, sum: f32): f32 {
  let y0 = v128.load(y);
  for (const end = e + (<usize>n << 2); e < end; e += 4) {
    sum += load<f32>(e);
    y0 = madd(v128.load_splat<f32>(e), v128.load(v), y0);
    v += vRow;
  }
  v128.store(y, y0);
  return sum;
}

/** The scores of some heads of a row against n keys from `from` on. */
function scoreHeads(head: i32, count: i32, from: i32, n: i32): void {
  const group = int(args.heads) / int(args.kvHeads), D = int(args.headDim);
  const kRow = <usize>(int(args.kvHeads) * D) << 2;
  for (let j = 0; j < n; j += STRETCH) {
    const k = pointer(args.k) + <usize>(from + j) * kRow;
    for (let h = 0; h < count; h++) {
      const at = <usize>((head + h) / group * D) << 2;
      scoreRow(scoresOf(h) + (<usize>j << 2), queryOf(h), k + at, kRow, min(STRETCH, n - j), D);
    }
  }
}

/** The values of n keys from `from` on, weighed for some heads of a row, and the weights, join their sums. */
function weighHeads(head: i32, count: i32, from: i32, n: i32): void {
  const group = int(args.heads) / int(args.kvHeads), D = int(args.headDim);
  const kRow = <usize>(int(args.kvHeads) * D) << 2;
  for (let j = 0; j < n; j += STRETCH) {
    const v = pointer(args.v) + <usize>(from + j) * kRow;
    const keys = min(STRETCH, n - j);
    for (let h = 0; h < count; h++) {
      const e = scoresOf(h) + (<usize>j << 2), x = v + (<usize>((head + h) / group * D) << 2), y = valuesOf(h);
      const before = load<f32>(maximumOf(h), 64);
      let sum = before;
      let d = 0;
      for (; d + 32 <= D; d += 32) sum = weigh32(e, keys, x + (<usize>d << 2), kRow, y + (<usize>d << 2), before);
      for (; d < D; d += 4) sum = weigh4(e, keys, x + (<usize>d << 2), kRow, y + (<usize>d << 2), before);
      store<f32>(maximumOf(h), sum, 64);
    }
  }
}

/** Some heads of one row alone, against any number of keys. */
export function attendRow(head: i32, count: i32, row: i32): void {
  const heads = int(args.heads), D = int(args.headDim);
  for (let h = 0; h < count; h++) {
    const q = queryOf(h);
    v128.store(q + (<usize>(D & ~3) << 2), f32x4.splat(0));
    memory.copy(q, pointer(args.q) + (<usize>((row * heads + head + h) * D) << 2), <usize>D << 2);
    scaleRow(q, D, float(args.scale));
    store<f32>(maximumOf(h), -f32.MAX_VALUE);
    store<f32>(maximumOf(h), 0, 64);
    memory.fill(valuesOf(h), 0, <usize>(D + 3) << 2);
  }
  const from = load<i32>(pointer(args.lo) + (<usize>row << 2)), to = load<i32>(pointer(args.hi) + (<usize>row << 2));
  for (let t = from; t < to; t += ROW_BLOCK) {
    const n = min(ROW_BLOCK, to - t);
    scoreHeads(head, count, t, n);
    for (let h = 0; h < count; h++) store<f32>(maximumOf(h), max(load<f32>(maximumOf(h)), rowMax(scoresOf(h), n)));
  }
  for (let t = from; t < to; t += ROW_BLOCK) {
    const n = min(ROW_BLOCK, to - t);
    // Of a single block the scores are still there.
    if (to - from > ROW_BLOCK) scoreHeads(head, count, t, n);
    for (let h = 0; h < count; h++) exponentials(scoresOf(h), n, load<f32>(maximumOf(h)));
    weighHeads(head, count, t, n);
  }
  for (let h = 0; h < count; h++) finish(head + h, row, load<f32>(maximumOf(h)), load<f32>(maximumOf(h), 64), valuesOf(h));
}
