/** @file Interval attention of single query rows: one text in decoding, or rows of several texts, which have no keys in common. */
import * as args from '../../arguments/attention';
import { float, int, pointer, scratch } from '../core/call';
import { expFast, log, storeTail } from '../core/simd';
import { hasFewColumns, rowTimesColumns, timesRows } from '../matmul/few-rows';
import { rowMax, scaleRow, storeExp } from '../softmax';

/** Keys that a single row takes at a time. */
const ROW_BLOCK = 4096;

/** Keys between the intervals of two rows that are not read in one tile: those in between would be computed in vain. */
const GAP = 32;

/**
 * Whether row i of n sees keys far away from those of its neighbours, as in decoding several texts. In training the intervals of
 * neighbours overlap or touch.
 */
export function isAlone(i: i32, n: i32): bool {
  const lo = pointer(args.lo) + (<usize>i << 2), hi = pointer(args.hi) + (<usize>i << 2);
  return (i == 0 || load<i32>(lo) - load<i32>(hi - 4) >= GAP) && (i == n - 1 || load<i32>(lo, 4) - load<i32>(hi) >= GAP);
}

/** One query row alone: products of a row and a matrix, nothing packed. Scratch: scores of a block of keys, sums of v. */
export function forwardRow(head: i32, row: i32): void {
  const heads = int(args.heads), kvHeads = int(args.kvHeads), D = int(args.headDim);
  const kRow = <usize>(kvHeads * D) << 2;
  const at = <usize>row << 2;
  const column = <usize>((row * heads + head) * D) << 2, kvColumn = <usize>(head / (heads / kvHeads) * D) << 2;
  const q = pointer(args.q) + column;
  const end = load<i32>(pointer(args.hi) + at);
  const s = scratch(), y = s + (ROW_BLOCK + 4) * 4;
  let most = -f32.MAX_VALUE, sum: f32 = 0;
  const begin = load<i32>(pointer(args.lo) + at);
  for (let t = begin; t < end; t += ROW_BLOCK) {
    const n = min(ROW_BLOCK, end - t);
    const offset = <usize>t * kRow + kvColumn;
    rowTimesColumns(n, D, q, pointer(args.k) + offset, kRow, s, false);
    scaleRow(s, n, float(args.scale));
    const before = most;
    most = max(most, rowMax(s, n));
    const fade = f32x4.extract_lane(expFast(f32x4.splat(before - most)), 0);
    sum = sum * fade + storeExp(s, s, n, most);
    if (t > begin) scaleRow(y, D, fade);
    timesRows(1, D, n, s, 0, pointer(args.v) + offset, kRow, y, 0, t > begin, hasFewColumns(D));
  }
  store<f32>(pointer(args.lse) + (<usize>(row * heads + head) << 2), sum == 0 ? 0 : <f32>(<f64>most + log(sum)));
  if (sum == 0) memory.fill(pointer(args.out) + column, 0, <usize>D << 2);
  else writeRow(pointer(args.out) + column, y, D, 1 / sum);
}

/** to[0:D] = factor * from[0:D] */
export function writeRow(to: usize, from: usize, D: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  for (let d = 0; d < D; d += 4) {
    const x = f32x4.mul(v128.load(from), f);
    if (d + 4 <= D) v128.store(to, x);
    else storeTail(to, x, D - d);
    to += 16;
    from += 16;
  }
}
