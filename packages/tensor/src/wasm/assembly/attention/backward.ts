/**
 * @file The backward pass of interval attention, after Dao et al. 2022: probabilities are computed again from q, k and the kept
 * lse, so nothing quadratic is stored.
 *
 * With p_ij = e^(s_ij - lse_i) and d_i = g_i . out_i: dv_j = sum_i p_ij g_i; ds_ij = scale p_ij (g_i . v_j - d_i);
 * dq_i = sum_j ds_ij k_j; dk_j = sum_i ds_ij q_i. One thread computes all of dk and dv for one kv head and one segment of rows,
 * block after block, so the order of every sum is fixed. Segments end where no later row sees an earlier key.
 */
import * as args from '../../arguments/attention';
import { float, int, pointer, scratch, takeUnit, wide } from '../core/call';
import { expFast, lanesBelow, sumLanes } from '../core/simd';
import { copyCorner } from '../matmul/gemm';
import { prefetchLines } from '../matmul/pack';
import { tileFromRows } from '../matmul/tile-4x8';
import { tile4x16FromRows, tile6x16FromRows } from '../matmul/tile-6x16';
import { BLOCK, FAR, groupRows, loadIntervals, packGroup, scoreKeys, sees, weighKeys } from './forward';
import { writeRow } from './single-row';
import {
  beginHead, flushKeys, packedArray, packedKeys, packedRow, packKeys, zeroGradientsBefore,
} from './packed-keys';

/** A segment has at least this many rows, if it can. */
const SEGMENT = 4 * BLOCK;

/** Bytes from one key's scores to the next: those of the 64 queries of a block. */
const S_ROW: usize = BLOCK * 4;

/** Called once before the kernel: the first rows of the segments, and n at the end. Returns how many there are. */
export function findSegments(lo: usize, hi: usize, n: i32, starts: usize): i32 {
  let count = 0;
  let begin = 0;
  store<i32>(starts, 0);
  for (let i = SEGMENT; i < n; i++) {
    if (i - begin < SEGMENT || load<i32>(lo + (<usize>i << 2)) < load<i32>(hi + (<usize>(i - 1) << 2))) continue;
    begin = i;
    count++;
    store<i32>(starts + (<usize>count << 2), i);
  }
  count++;
  store<i32>(starts + (<usize>count << 2), n);
  return count;
}

/** p = e^(s - lse) where the query sees the key, else 0; ds = p (dp - d) scale. For n keys and 8 queries. */
function differentiate(s: usize, dp: usize, first: i32, n: i32, lo: usize, hi: usize, lse: usize, delta: usize,
  scale: f32): void {
  const lo0 = v128.load(lo), lo1 = v128.load(lo, 16), hi0 = v128.load(hi), hi1 = v128.load(hi, 16);
  const lse0 = v128.load(lse), lse1 = v128.load(lse, 16);
  const d0 = v128.load(delta), d1 = v128.load(delta, 16);
  const factor = f32x4.splat(scale);
  let j = i32x4.splat(first);
  for (let i = 0; i < n; i++) {
    const p0 = v128.and(expFast(f32x4.sub(v128.load(s), lse0)), sees(j, lo0, hi0));
    const p1 = v128.and(expFast(f32x4.sub(v128.load(s, 16), lse1)), sees(j, lo1, hi1));
    const ds0 = f32x4.mul(p0, f32x4.mul(f32x4.sub(v128.load(dp), d0), factor));
    const ds1 = f32x4.mul(p1, f32x4.mul(f32x4.sub(v128.load(dp, 16), d1), factor));
    v128.store(s, p0);
    v128.store(s, p1, 16);
    v128.store(dp, ds0);
    v128.store(dp, ds1, 16);
    j = i32x4.add(j, i32x4.splat(1));
    s += S_ROW;
    dp += S_ROW;
  }
}

/** Y[key] += sum over `queries` of w[key][query] x[query], for 6 keys and D a multiple of 16. */
function weighQueriesSix(y: usize, yRow: usize, w: usize, x: usize, xRow: usize, queries: i32, D: i32): void {
  const w3 = w + 3 * S_ROW;
  for (let d: usize = 0; d < <usize>D << 2; d += 64) {
    tile6x16FromRows(queries, w, w + S_ROW, w + 2 * S_ROW, w3, w3 + S_ROW, w3 + 2 * S_ROW, 4, x + d, xRow, y + d, yRow, true);
  }
}

/** Y[key] += sum over `queries` of w[key][query] x[query], for 1 to 4 keys. */
function weighQueries(y: usize, yRow: usize, keys: i32, w: usize, x: usize, xRow: usize, queries: i32, D: i32, spare: usize): void {
  const w1 = w + S_ROW, w2 = w + 2 * S_ROW, w3 = w + 3 * S_ROW;
  const whole = keys == 4;
  let d = 0;
  if (wide) {
    for (; d + 16 <= D; d += 16) {
      const to = y + (<usize>d << 2);
      tile4x16FromRows(queries, w, w1, w2, w3, 4, x + (<usize>d << 2), xRow, whole ? to : spare, whole ? yRow : 64, whole);
      if (!whole) copyCorner(spare, 64, to, yRow, keys, 16, true);
    }
  }
  for (; d < D; d += 8) {
    const to = y + (<usize>d << 2);
    const columns = min(8, D - d);
    const fits = whole && columns == 8;
    tileFromRows(queries, w, w1, w2, w3, 4, x + (<usize>d << 2), xRow, fits ? to : spare, fits ? yRow : 32, fits);
    if (!fits) copyCorner(spare, 32, to, yRow, keys, columns, true);
  }
}

/** x . y over D values. */
function dot(x: usize, y: usize, D: i32): f32 {
  let s = f32x4.splat(0);
  for (let d = 0; d < D; d += 4) {
    const product = f32x4.mul(v128.load(x), v128.load(y));
    s = f32x4.add(s, d + 4 <= D ? product : v128.and(product, lanesBelow(D - d)));
    x += 16;
    y += 16;
  }
  return sumLanes(s);
}

/**
 * Kernel. Arguments: dq, dk, dv, q, k, v, lo, hi, out, lse, g, n, m, heads, kvHeads, D, scale, segment starts, segments.
 * Scratch: panels of q and g [groups][D][rows], dq [64][D rounded up to 8], p and ds [64 + 4][64], intervals, lse, delta, a spare tile, rows of q and
 * g, and in what is left keys held side by side.
 */
export function intervalAttentionBackward(part: i32, parts: i32): void {
  const heads = int(args.heads), kvHeads = int(args.kvHeads), segments = int(args.segments);
  const group = heads / kvHeads;
  const units = segments * kvHeads;
  for (let unit = takeUnit(); unit < units; unit = takeUnit()) {
    const segment = unit / kvHeads;
    const kvHead = unit - segment * kvHeads;
    const starts = pointer(args.starts) + (<usize>segment << 2);
    const first = load<i32>(starts), last = load<i32>(starts, 4);
    const lastBlock = last - 1 - ((last - 1 - first) & (BLOCK - 1));
    const far = load<i32>(pointer(args.hi) + (<usize>(last - 1) << 2)) - load<i32>(pointer(args.lo) + (<usize>lastBlock << 2)) >= FAR;
    // The rows of dk and dv that this segment sees, and those that none sees before the next segment.
    beginHead(kvHead, segment == 0 ? 0 : load<i32>(pointer(args.lo) + (<usize>first << 2)));
    for (let head = kvHead * group; head < (kvHead + 1) * group; head++) {
      for (let i = first; i < last; i += BLOCK) backwardBlock(head, kvHead, i, min(BLOCK, last - i), far);
      flushKeys();
    }
    zeroGradientsBefore(segment == segments - 1 ? int(args.m) : load<i32>(pointer(args.lo) + (<usize>last << 2)));
  }
}

// Places in the scratch; D is the width of a head.
/** Panels of the rows of q and g [groups][D][rows]. */
let qPanels: usize = 0, gPanels: usize = 0;
/** dq of the block, rows of `yRow` bytes. */
let y: usize = 0, yRow: usize = 0;
/** Probabilities and score gradients [64 + 4 keys][64 queries]. */
let p: usize = 0, ds: usize = 0;
/** The first key of each query, one past the last, lse, and g . out. */
let lo: usize = 0, hi: usize = 0, lse: usize = 0, delta: usize = 0;
/** A tile for edges. */
let spare: usize = 0;
/**
 * Copies of the rows of q and g side by side, `row` bytes each: in place, rows of all heads a power of two apart would displace one
 * another from the first-level cache.
 */
let qRows: usize = 0, gRows: usize = 0, row: usize = 0;
/** Keys, values and their gradients, in memory or packed, from one row to the next `kRow` bytes. */
let k: usize = 0, v: usize = 0, dk: usize = 0, dv: usize = 0, kRow: usize = 0;

function layOutScratch(D: i32): void {
  const panel = BLOCK * (<usize>D << 2);
  yRow = <usize>((D + 7) & ~7) << 2;
  row = yRow + 64;
  qPanels = scratch();
  gPanels = qPanels + panel;
  y = gPanels + panel;
  p = y + BLOCK * yRow;
  ds = p + (BLOCK + 4) * S_ROW;
  lo = ds + (BLOCK + 4) * S_ROW;
  hi = lo + BLOCK * 4;
  lse = hi + BLOCK * 4;
  delta = lse + BLOCK * 4;
  spare = delta + BLOCK * 4;
  qRows = spare + 64 * 4;
  gRows = qRows + BLOCK * row;
}

/** Query rows first .. first + count - 1 of one head: their dq, and what they add to dk and dv. */
function backwardBlock(head: i32, kvHead: i32, first: i32, count: i32, far: bool): void {
  const D = int(args.headDim);
  layOutScratch(D);
  loadQueries(head, first, count, far);
  const lastKey = load<i32>(hi + (<usize>(count - 1) << 2));
  chooseKeys(kvHead, lastKey, far);
  for (let t = load<i32>(lo); t < lastKey; t += BLOCK) {
    const tEnd = min(t + BLOCK, lastKey);
    differentiateScores(t, tEnd, count, D);
    addKeyGradients(t, tEnd, count, D);
  }
  const qRow = <usize>(int(args.heads) * D) << 2;
  const dq = pointer(args.dq) + first * qRow + (<usize>(head * D) << 2);
  for (let i = 0; i < count; i++) writeRow(dq + i * qRow, y + i * yRow, D, 1);
}

/** Copies what the block needs of its queries to the scratch, and sets their dq to 0. */
function loadQueries(head: i32, first: i32, count: i32, far: bool): void {
  const heads = int(args.heads), D = int(args.headDim);
  const qRow = <usize>(heads * D) << 2;
  const rowOffset = first * qRow + (<usize>(head * D) << 2);
  const q = pointer(args.q) + rowOffset, g = pointer(args.g) + rowOffset, out = pointer(args.out) + rowOffset;
  loadIntervals(lo, pointer(args.lo), pointer(args.hi), first, count);
  if (far) {
    prefetchLines(q, qRow, count, D);
    prefetchLines(g, qRow, count, D);
    prefetchLines(out, qRow, count, D);
  }
  memory.fill(y, 0, BLOCK * yRow);
  for (let i = 0; i < count; i++) {
    writeRow(qRows + i * row, q + i * qRow, D, 1);
    writeRow(gRows + i * row, g + i * qRow, D, 1);
    const at = <usize>i << 2;
    store<f32>(lse + at, load<f32>(pointer(args.lse) + (<usize>((first + i) * heads + head) << 2)));
    store<f32>(delta + at, dot(g + i * qRow, out + i * qRow, D));
  }
  const panelRow = <usize>D << 2;
  const group = groupRows();
  const scale = float(args.scale);
  for (let i = 0; i < count; i += group) {
    packGroup(qPanels + i * panelRow, qRows + i * row, row, min(group, count - i), D, scale);
    packGroup(gPanels + i * panelRow, gRows + i * row, row, min(group, count - i), D, 1);
  }
}

/** The keys up to lastKey: packed if the block sees many, and there is room, else in place. */
function chooseKeys(kvHead: i32, lastKey: i32, far: bool): void {
  if (far && packKeys(gRows + BLOCK * row, load<i32>(lo), lastKey)) {
    kRow = packedRow();
    k = packedKeys();
    v = k + packedArray();
    dk = v + packedArray();
    dv = dk + packedArray();
    return;
  }
  flushKeys();
  zeroGradientsBefore(lastKey);
  const D = int(args.headDim);
  const keyOffset = <usize>(kvHead * D) << 2;
  kRow = <usize>(int(args.kvHeads) * D) << 2;
  k = pointer(args.k) + keyOffset;
  v = pointer(args.v) + keyOffset;
  dk = pointer(args.dk) + keyOffset;
  dv = pointer(args.dv) + keyOffset;
}

/** p and ds of all queries against the keys t .. tEnd-1, and what these add to dq. */
function differentiateScores(t: i32, tEnd: i32, count: i32, D: i32): void {
  const group = groupRows();
  const panelRow = <usize>D << 2;
  const scale = float(args.scale);
  for (let i = 0; i < count; i += group) {
    const from = firstKey(lo, t, i), to = endKey(hi, tEnd, i, count);
    if (from >= to) continue;
    const at = (from - t) * S_ROW + (<usize>i << 2);
    scoreKeys(p + at, S_ROW, k + from * kRow, kRow, to - from, qPanels + i * panelRow, D);
    scoreKeys(ds + at, S_ROW, v + from * kRow, kRow, to - from, gPanels + i * panelRow, D);
    for (let e: usize = 0; e < <usize>group << 2; e += 32) {
      const rows = (<usize>i << 2) + e;
      // Up to a multiple of four keys: what lies beyond is seen by nobody and becomes 0.
      differentiate(p + at + e, ds + at + e, from, (to - from + 3) & ~3, lo + rows, hi + rows, lse + rows, delta + rows, scale);
    }
    weighKeys(y + i * yRow, yRow, ds + at, S_ROW, k + from * kRow, kRow, to - from, D);
  }
}

/** Adds to dk and dv of the keys t .. tEnd-1. The queries that see four neighbouring keys are neighbours too. */
function addKeyGradients(t: i32, tEnd: i32, count: i32, D: i32): void {
  const group = groupRows();
  let begin = 0, end = 0, j = t;
  if (wide && (D & 15) == 0 && firstKey(lo, t, (count - 1) & -group) == t && endKey(hi, tEnd, 0, count) == tEnd) {
    for (; j + 6 <= tEnd; j += 6) {
      const at = (j - t) * S_ROW;
      weighQueriesSix(dv + j * kRow, kRow, p + at, gRows, row, count, D);
      weighQueriesSix(dk + j * kRow, kRow, ds + at, qRows, row, count, D);
    }
  }
  for (; j < tEnd; j += 4) {
    while (begin < count && endKey(hi, tEnd, begin, count) <= j) begin += group;
    if (end < begin) end = begin;
    while (end < count && firstKey(lo, t, end) <= j) end += group;
    if (begin >= end) continue;
    const at = (j - t) * S_ROW + (<usize>begin << 2);
    const queries = min(end, count) - begin;
    weighQueries(dv + j * kRow, kRow, min(4, tEnd - j), p + at, gRows + begin * row, row, queries, D, spare);
    weighQueries(dk + j * kRow, kRow, min(4, tEnd - j), ds + at, qRows + begin * row, row, queries, D, spare);
  }
}

/** The first key, of the block of keys from t on, that the group at row i computes: a whole number of fours from t. */
// @ts-ignore: decorator
@inline
function firstKey(lo: usize, t: i32, i: i32): i32 {
  return t + (max(0, load<i32>(lo + (<usize>i << 2)) - t) & ~3);
}

/** One past the last key of that block that the group at row i sees. */
// @ts-ignore: decorator
@inline
function endKey(hi: usize, tEnd: i32, i: i32, count: i32): i32 {
  return min(tEnd, load<i32>(hi + (<usize>(min(i + groupRows(), count) - 1) << 2)));
}
