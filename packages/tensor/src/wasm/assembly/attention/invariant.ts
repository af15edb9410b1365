/**
 * @file Interval attention, batch-invariant: the bits of a row depend on its query and on the keys and values of its interval alone, not
 * on where the interval begins, nor on the rows and keys beside it. A text then gives the same bits as a whole, in chunks, byte by
 * byte, and among other texts.
 *
 * The forward pass for training (forward.ts) carries a running maximum from block to block of keys, so the blocks show in the last
 * bits. Here the maximum of the whole interval is found first. It does not depend on an order. The weights e^(s - max) and the values
 * that they weigh are then added up in one sum each, in rising order of the keys. That is the same whether a row is computed alone or
 * as a lane of a group, because a key that a row of the group does not see adds an exact 0. A score is four sums over the values of a
 * head, because a row alone then reads its keys where they lie, four values at a time.
 * @see He 2025, Defeating Nondeterminism in LLM Inference (Thinking Machines): batch invariance
 */
import * as args from '../../arguments/attention';
import { float, int, pointer, scratch, takeUnit } from '../core/call';
import { expFast } from '../core/simd';
import { groupRows, packGroup, scoreEvery, sees, weighKeys } from './forward';
import { attendRow, finish, headsTogether, MAXIMA, SCORES, SUMS_OF_VALUES, UNIT } from './invariant-row';

/** The most keys of a group: their scores lie in the scratch, 64 bytes for each. */
const GROUP_KEYS = 8192;

/** Kernel. Arguments: out, lse, q, k, v, lo, hi, n, heads, kvHeads, D, scale. */
export function invariantAttention(part: i32, parts: i32): void {
  const n = int(args.n), heads = int(args.heads);
  const blocks = (n + UNIT - 1) / UNIT;
  const together = headsTogether(blocks, heads, parts);
  const perBlock = (heads + together - 1) / together;
  for (let unit = takeUnit(); unit < blocks * perBlock; unit = takeUnit()) {
    const block = unit / perBlock, head = (unit - block * perBlock) * together;
    const end = min(n, (block + 1) * UNIT);
    for (let i = block * UNIT; i < end; i += groupRows()) {
      attendRows(head, min(together, heads - head), i, min(groupRows(), end - i));
    }
  }
}

/** Some heads of rows first .. first+count-1, as a group where they see much the same keys, else one by one. */
function attendRows(head: i32, together: i32, first: i32, count: i32): void {
  const lo = pointer(args.lo) + (<usize>first << 2), hi = pointer(args.hi) + (<usize>first << 2);
  const keys = load<i32>(hi + (<usize>(count - 1) << 2)) - load<i32>(lo);
  let pairs = 0;
  for (let i: usize = 0; i < <usize>count << 2; i += 4) pairs += load<i32>(hi + i) - load<i32>(lo + i);
  // A pair costs a row alone about twice as much as it costs a full group.
  if (keys <= GROUP_KEYS && <i64>keys * groupRows() <= <i64>pairs * 2) {
    for (let h = head; h < head + together; h++) attendGroup(h, first, count, load<i32>(lo), keys);
  } else for (let i = first; i < first + count; i++) attendRow(head, together, i);
}

/** S [n keys][8 queries] becomes e^(s - max), 0 where a query does not see a key; the maxima and the sums of 8 queries are kept. */
function softmaxOfEight(s: usize, sRow: usize, first: i32, n: i32, lo0: v128, lo1: v128, hi0: v128, hi1: v128, maxima: usize): void {
  const end = s + n * sRow;
  const hidden = f32x4.splat(-Infinity);
  let max0 = f32x4.splat(-f32.MAX_VALUE), max1 = max0;
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
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
  for (let p = s; p < end; p += sRow) {
    const e0 = expFast(f32x4.sub(v128.load(p), max0)), e1 = expFast(f32x4.sub(v128.load(p, 16), max1));
    v128.store(p, e0);
    v128.store(p, e1, 16);
    sum0 = f32x4.add(sum0, e0);
    sum1 = f32x4.add(sum1, e1);
  }
  v128.store(maxima, max0);
  v128.store(maxima, max1, 16);
  v128.store(maxima, sum0, 64);
  v128.store(maxima, sum1, 80);
}

/**
 * S[key] = x[key] . panel for n keys, D values each, as four sums that are added up one after the other: of the values 0, 4, 8 .., of
 * 1, 5, 9 .., and so on. A row alone has these four sums in the lanes of one vector.
 */
function scoreInFours(s: usize, sRow: usize, x: usize, xRow: usize, n: i32, panel: usize, D: i32): void {
  const row = <usize>groupRows() << 2;
  for (let e = 0; e < 4; e++) scoreEvery(4, s, sRow, x + (<usize>e << 2), xRow, n, panel + e * row, (D - e + 3) >> 2, e > 0);
}

/** A group of rows, whose queries are the lanes, against keys from .. from+n-1. */
function attendGroup(head: i32, first: i32, count: i32, from: i32, n: i32): void {
  const heads = int(args.heads), kvHeads = int(args.kvHeads), D = int(args.headDim);
  const qRow = <usize>(heads * D) << 2, kRow = <usize>(kvHeads * D) << 2;
  const offset = <usize>from * kRow + (<usize>(head / (heads / kvHeads) * D) << 2);
  const lo = pointer(args.lo) + (<usize>first << 2), hi = pointer(args.hi) + (<usize>first << 2);
  const panel = scratch(), y = panel + SUMS_OF_VALUES, maxima = panel + MAXIMA, s = panel + SCORES;
  const sRow = <usize>groupRows() << 2, yRow = <usize>((D + 7) & ~7) << 2;
  packGroup(panel, pointer(args.q) + first * qRow + (<usize>(head * D) << 2), qRow, count, D, float(args.scale));
  scoreInFours(s, sRow, pointer(args.k) + offset, kRow, n, panel, D);
  // Rows beyond see nothing. Their bounds lie where the sums of values do later.
  memory.fill(y, 0, 128);
  memory.copy(y, lo, <usize>count << 2);
  memory.copy(y + 64, hi, <usize>count << 2);
  for (let e: usize = 0; e < sRow; e += 32) {
    softmaxOfEight(s + e, sRow, from, n, v128.load(y + e), v128.load(y + e, 16), v128.load(y + e, 64), v128.load(y + e, 80), maxima + e);
  }
  memory.fill(y, 0, groupRows() * yRow);
  weighKeys(y, yRow, s, sRow, pointer(args.v) + offset, kRow, n, D);
  for (let i = 0; i < count; i++) {
    const at = maxima + (<usize>i << 2);
    finish(head, first + i, load<f32>(at), load<f32>(at, 64), y + i * yRow);
  }
}
