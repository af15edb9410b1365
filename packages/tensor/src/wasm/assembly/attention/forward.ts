/**
 * @file Attention where query row i sees the key rows lo[i] .. hi[i]-1: what the forward and backward pass share, and the
 * forward pass.
 *
 * A unit of work is one head and a block of 64 query rows, in groups of 8, or of 16 where vectors come in pairs (`wide`). A group's
 * scores against 4 or 6 keys are one tile of the matrix product, with keys as rows and queries as lanes. Keys come in blocks of 64
 * too, so the scratch never grows with the context. The softmax is carried from one block of keys to the next (Milakov & Gimelshein
 * 2018). Because lo and hi never decrease, a group needs the keys lo[first] .. hi[last]-1 and no others. The result of a row depends
 * on its own interval and on where earlier rows begin, never on later rows nor on the size of groups, because a masked key
 * contributes exact zeros.
 */
import * as args from '../../arguments/attention';
import { float, int, pointer, scratch, takeUnit, wide } from '../core/call';
import { expFast, log } from '../core/simd';
import { packFourRows, prefetchLines } from '../matmul/pack';
import { tileFromPanel, tileFromRows } from '../matmul/tile-4x8';
import { tile4x16, tile4x16FromRows, tile6x16, tile6x16FromRows, tile8x8 } from '../matmul/tile-6x16';
import { attendRow, headsTogether } from './invariant-row';
import { isAlone, writeRow } from './single-row';

/** Query rows in a block, and keys in a block. */
export const BLOCK = 64;

/** For blocks of queries that see at least this many keys, prefetching and packing keys pays. */
export const FAR = 3 * BLOCK;

/** Query rows in a group: the lanes of one tile. */
// @ts-ignore: decorator
@inline
export function groupRows(): i32 {
  return wide ? 16 : 8;
}

/** Bytes for the scores of a group against one key. */
// @ts-ignore: decorator
@inline
const GROUP_BYTES: usize = 64;

/** lo and hi of a block's rows, 64 each, padded with empty intervals. */
export function loadIntervals(to: usize, lo: usize, hi: usize, first: i32, count: i32): void {
  for (let i = 0; i < BLOCK; i++) {
    const at = <usize>(first + i) << 2;
    store<i32>(to + (<usize>i << 2), i < count ? load<i32>(lo + at) : 0);
    store<i32>(to + (<usize>(BLOCK + i) << 2), i < count ? load<i32>(hi + at) : 0);
  }
}

/** The rows of a group, D values each, times `scale`, to a panel [D][rows]. Rows beyond `count` repeat the last. */
export function packGroup(to: usize, from: usize, row: usize, count: i32, D: i32, scale: f32): void {
  const step = <usize>groupRows() << 2;
  for (let i = 0; i < groupRows(); i += 4) {
    packFourRows(from + min(i, count - 1) * row, from + min(i + 1, count - 1) * row, from + min(i + 2, count - 1) * row,
      from + min(i + 3, count - 1) * row, D, to + (<usize>i << 2), step);
  }
  if (scale == 1) return;
  const factor = f32x4.splat(scale);
  for (let end = to + <usize>D * step; to < end; to += 32) {
    const x0 = f32x4.mul(v128.load(to), factor), x1 = f32x4.mul(v128.load(to, 16), factor);
    v128.store(to, x0);
    v128.store(to, x1, 16);
  }
}

/**
 * For n keys against one group: S[key] (+)= x[key] . panel, rows of S `sRow` bytes apart, in whole fours of keys: beyond the end
 * the last key is repeated. Of keys and panel every `every`-th value counts, D of them.
 */
export function scoreEvery(every: usize, s: usize, sRow: usize, x: usize, xRow: usize, n: i32, panel: usize, D: i32, add: bool): void {
  const step = every << 2;
  let j = 0;
  if (wide) {
    for (; j + 6 <= n; j += 6) {
      const x0 = x + j * xRow;
      const x1 = x0 + xRow, x2 = x1 + xRow, x3 = x2 + xRow, x4 = x3 + xRow;
      tile6x16FromRows(D, x0, x1, x2, x3, x4, x4 + xRow, step, panel, every << 6, s + j * sRow, sRow, add);
    }
  }
  for (const end = (n + 3) & ~3; j < end; j += 4) {
    const x0 = x + min(j, n - 1) * xRow;
    const x1 = j + 1 < n ? x0 + xRow : x0;
    const x2 = j + 2 < n ? x1 + xRow : x1;
    const x3 = j + 3 < n ? x2 + xRow : x2;
    if (wide) tile4x16FromRows(D, x0, x1, x2, x3, step, panel, every << 6, s + j * sRow, sRow, add);
    else tileFromRows(D, x0, x1, x2, x3, step, panel, every << 5, s + j * sRow, sRow, add);
  }
}

/** `scoreEvery` with all values of a head, D of them. */
export function scoreKeys(s: usize, sRow: usize, x: usize, xRow: usize, n: i32, panel: usize, D: i32): void {
  scoreEvery(1, s, sRow, x, xRow, n, panel, D, false);
}

/**
 * Y[rows][D] (+)= sum over n keys of S[key][rows] x[key], for the rows of a group; rows of Y are `yRow` bytes apart and padded to
 * 8 columns.
 */
export function weighKeys(y: usize, yRow: usize, s: usize, sRow: usize, x: usize, xRow: usize, n: i32, D: i32): void {
  const end = <usize>D << 2;
  let column: usize = 0;
  if (wide) {
    const y6 = y + yRow * 6, y8 = y + yRow * 8, y12 = y + yRow * 12;
    for (; column + 64 <= end; column += 64) {
      tile6x16(n, s, sRow, x + column, xRow, y + column, yRow, true);
      tile6x16(n, s + 24, sRow, x + column, xRow, y6 + column, yRow, true);
      tile4x16(n, s + 48, sRow, x + column, xRow, y12 + column, yRow, true);
    }
    for (; column < end; column += 32) {
      tile8x8(n, s, sRow, x + column, xRow, y + column, yRow, true);
      tile8x8(n, s + 32, sRow, x + column, xRow, y8 + column, yRow, true);
    }
    return;
  }
  const y4 = y + yRow * 4;
  for (; column < end; column += 32) {
    tileFromPanel(n, s, sRow, x + column, xRow, y + column, yRow, true);
    tileFromPanel(n, s + 16, sRow, x + column, xRow, y4 + column, yRow, true);
  }
}

/** Lanes of queries with lo <= j < hi. */
// @ts-ignore: decorator
@inline
export function sees(j: v128, lo: v128, hi: v128): v128 {
  return v128.andnot(i32x4.lt_s(j, hi), i32x4.lt_s(j, lo));
}

/**
 * The running softmax over one block of n keys, for 8 queries. S [n][8], rows `sRow` bytes apart, becomes e^(s - max). The maxima and
 * sums are updated, and `fade` receives the factor by which everything summed so far shrinks.
 */
function softmaxOfBlock(s: usize, sRow: usize, first: i32, n: i32, masked: bool, lo: usize, hi: usize, maxima: usize, sums: usize,
  fade: usize): void {
  const end = s + n * sRow;
  const before0 = v128.load(maxima), before1 = v128.load(maxima, 16);
  let max0 = before0, max1 = before1;
  if (masked) {
    const lo0 = v128.load(lo), lo1 = v128.load(lo, 16), hi0 = v128.load(hi), hi1 = v128.load(hi, 16);
    const hidden = f32x4.splat(-Infinity);
    let j = i32x4.splat(first);
    for (let p = s; p < end; p += sRow) {
      const s0 = v128.bitselect(v128.load(p), hidden, sees(j, lo0, hi0));
      const s1 = v128.bitselect(v128.load(p, 16), hidden, sees(j, lo1, hi1));
      v128.store(p, s0);
      v128.store(p, s1, 16);
      max0 = f32x4.pmax(max0, s0);
      max1 = f32x4.pmax(max1, s1);
      j = i32x4.add(j, i32x4.splat(1));
    }
  } else {
    for (let p = s; p < end; p += sRow) {
      max0 = f32x4.pmax(max0, v128.load(p));
      max1 = f32x4.pmax(max1, v128.load(p, 16));
    }
  }
  const fade0 = expFast(f32x4.sub(before0, max0)), fade1 = expFast(f32x4.sub(before1, max1));
  let sum0 = f32x4.mul(v128.load(sums), fade0), sum1 = f32x4.mul(v128.load(sums, 16), fade1);
  for (let p = s; p < end; p += sRow) {
    const e0 = expFast(f32x4.sub(v128.load(p), max0));
    const e1 = expFast(f32x4.sub(v128.load(p, 16), max1));
    v128.store(p, e0);
    v128.store(p, e1, 16);
    sum0 = f32x4.add(sum0, e0);
    sum1 = f32x4.add(sum1, e1);
  }
  v128.store(maxima, max0);
  v128.store(maxima, max1, 16);
  v128.store(sums, sum0);
  v128.store(sums, sum1, 16);
  v128.store(fade, fade0);
  v128.store(fade, fade1, 16);
}

/** Row i of the 8 at y, each of D values, times factor[i]; nothing to do where all are 1. */
function fadeRows(y: usize, yRow: usize, D: i32, factors: usize): void {
  const one = f32x4.splat(1);
  if (i32x4.all_true(v128.and(f32x4.eq(v128.load(factors), one), f32x4.eq(v128.load(factors, 16), one)))) return;
  for (let i = 0; i < 8; i++) {
    const factor = v128.load_splat<f32>(factors + (<usize>i << 2));
    for (let p = y, end = y + (<usize>D << 2); p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), factor));
    y += yRow;
  }
}

/**
 * Kernel. Arguments: out, lse, q, k, v, lo, hi, n, heads, kvHeads, D, scale. Scratch: panels of q [groups][D][rows], sums of
 * v [64][D rounded up to 8], scores [64][rows], running maxima and sums, the intervals.
 */
export function intervalAttention(part: i32, parts: i32): void {
  const n = int(args.n), heads = int(args.heads);
  const blocks = (n + BLOCK - 1) / BLOCK;
  const units = blocks * heads;
  // Some heads of a row alone are computed by the unit of the first of them.
  const together = headsTogether(blocks, heads, parts);
  for (let unit = takeUnit(); unit < units; unit = takeUnit()) {
    const block = unit / heads, head = unit - block * heads;
    // Rows that share no keys with others go alone, those between them as a block.
    let from = block * BLOCK;
    const end = min(from + BLOCK, n);
    for (let i = from; i < end; i++) {
      if (!isAlone(i, n)) continue;
      if (from < i) forwardBlock(head, from, i - from);
      if (head % together == 0) attendRow(head, min(together, heads - head), i);
      from = i + 1;
    }
    if (from < end) forwardBlock(head, from, end - from);
  }
}

function forwardBlock(head: i32, first: i32, count: i32): void {
  const heads = int(args.heads), kvHeads = int(args.kvHeads), D = int(args.headDim);
  const qRow = <usize>(heads * D) << 2, kRow = <usize>(kvHeads * D) << 2;
  const kvHead = head / (heads / kvHeads);
  const q = pointer(args.q) + first * qRow + (<usize>(head * D) << 2);
  const k = pointer(args.k) + (<usize>(kvHead * D) << 2), v = pointer(args.v) + (<usize>(kvHead * D) << 2);

  const yRow = <usize>((D + 7) & ~7) << 2;
  const group = groupRows();
  const panelRow = <usize>D << 2, sRow = <usize>group << 2;
  const panels = scratch();
  const y = panels + BLOCK * (<usize>D << 2);
  const s = y + BLOCK * yRow;
  const maxima = s + (BLOCK + 4) * GROUP_BYTES;
  const sums = maxima + BLOCK * 4;
  const fade = sums + BLOCK * 4;
  const lo = fade + 32, hi = lo + BLOCK * 4;
  loadIntervals(lo, pointer(args.lo), pointer(args.hi), first, count);
  for (let i = 0; i < BLOCK; i += 4) {
    // Finite, so that a row which has seen nothing yet fades by e^0.
    v128.store(maxima + (<usize>i << 2), f32x4.splat(-f32.MAX_VALUE));
    v128.store(sums + (<usize>i << 2), f32x4.splat(0));
  }
  memory.fill(y, 0, BLOCK * yRow);

  const lastKey = load<i32>(hi + (<usize>(count - 1) << 2));
  if (lastKey - load<i32>(lo) >= FAR) {
    const fresh = lastKey - BLOCK;
    prefetchLines(q, qRow, count, D);
    prefetchLines(k + fresh * kRow, kRow, BLOCK, D);
    prefetchLines(v + fresh * kRow, kRow, BLOCK, D);
  }
  for (let t = load<i32>(lo); t < lastKey; t += BLOCK) {
    const tEnd = min(t + BLOCK, lastKey);
    for (let i = 0; i < count; i += group) {
      const last = min(i + group, count) - 1;
      const panel = panels + i * panelRow;
      if (t == load<i32>(lo)) packGroup(panel, q + i * qRow, qRow, last + 1 - i, D, float(args.scale));
      // Whole groups of four keys from t on.
      const from = t + (max(0, load<i32>(lo + (<usize>i << 2)) - t) & ~3);
      const to = min(tEnd, load<i32>(hi + (<usize>last << 2)));
      if (from >= to) continue;
      scoreKeys(s, sRow, k + from * kRow, kRow, to - from, panel, D);
      for (let e = i; e <= last; e += 8) {
        const eightLo = lo + (<usize>e << 2), eightHi = hi + (<usize>e << 2);
        const masked = last - e < 7 || from < load<i32>(eightLo, 28) || to > load<i32>(eightHi);
        const scores = s + (<usize>(e - i) << 2);
        softmaxOfBlock(scores, sRow, from, to - from, masked, eightLo, eightHi, maxima + (<usize>e << 2), sums + (<usize>e << 2),
          fade);
        fadeRows(y + e * yRow, yRow, D, fade);
      }
      weighKeys(y + i * yRow, yRow, s, sRow, v + from * kRow, kRow, to - from, D);
    }
  }
  for (let i = 0; i < count; i++) {
    const sum = load<f32>(sums + (<usize>i << 2));
    const lse = sum == 0 ? 0 : <f64>load<f32>(maxima + (<usize>i << 2)) + log(sum);
    store<f32>(pointer(args.lse) + (<usize>((first + i) * heads + head) << 2), <f32>lse);
    writeRow(pointer(args.out) + (first + i) * qRow + (<usize>(head * D) << 2), y + i * yRow, D, sum == 0 ? 0 : 1 / sum);
  }
}
