/**
 * @file Keys, values and their gradients of one kv head, packed side by side in the thread's scratch, for the backward pass of
 * interval attention.
 *
 * In the original layout, consecutive rows of one head are (heads x D) floats apart, usually a power of two, so they all map to a few
 * cache sets and evict each other. Copying the rows of one head next to each other avoids that.
 *
 * The order of calls, for one kv head and one segment of query rows:
 * 1. `beginHead` once. Nothing is packed, and gradients from the segment's first key on are still to be written.
 * 2. `packKeys(begin, end)` for each block of queries. The window of keys only moves on, so each key is packed once. Gradients of
 *    keys that leave the window are written to memory then, so memory need not be zeroed and read before. If it returns false there
 *    is no room: call `flushKeys` and `zeroGradientsBefore(end)`, and work in place.
 * 3. `flushKeys` after the blocks of each query head: gradients are in memory, for the next head that shares these keys.
 * 4. `zeroGradientsBefore(end)` once: keys that no query of the segment saw get gradient 0.
 */
import * as args from '../../arguments/attention';
import { int, pointer, scratchEnd } from '../core/call';
import { prefetchLines } from '../matmul/pack';

/** Key j is row j - origin of four arrays of `capacity` rows at `packed`; the keys from packedBegin to packedEnd are there. */
let packed: usize = 0;
let capacity: i32 = 0;
let origin: i32 = 0;
let packedBegin: i32 = 0;
let packedEnd: i32 = 0;

/** Bytes to the kv head's first value in a row of all heads. */
let column: usize = 0;

/** The gradients of the keys from here on have not been written by anybody: they are 0. */
let writtenUntil: i32 = 0;

/** Bytes from one row to the next: of all kv heads, and side by side. */
// @ts-ignore: decorator
@inline
const outerRow = (): usize => <usize>(int(args.kvHeads) * int(args.headDim)) << 2;

// @ts-ignore: decorator
@inline
export const packedRow = (): usize => <usize>((int(args.headDim) + 7) & ~7) << 2;

/** Where key 0 would be, and from one array to the next: k, v, dk, dv. */
// @ts-ignore: decorator
@inline
export const packedKeys = (): usize => packed - origin * packedRow();

// @ts-ignore: decorator
@inline
export const packedArray = (): usize => capacity * packedRow();

/** Copies D floats. */
function copyRow(to: usize, from: usize, D: i32): void {
  if (D & 7) return memory.copy(to, from, <usize>D << 2);
  for (const end = to + (<usize>D << 2); to < end; to += 32) {
    const x0 = v128.load(from), x1 = v128.load(from, 16);
    v128.store(to, x0);
    v128.store(to, x1, 16);
    from += 32;
  }
}

/** Writes D zeros. */
function zeroRow(to: usize, D: i32): void {
  if (D & 7) return memory.fill(to, 0, <usize>D << 2);
  for (const end = to + (<usize>D << 2); to < end; to += 32) {
    v128.store(to, f32x4.splat(0));
    v128.store(to, f32x4.splat(0), 16);
  }
}

/** A kv head of a segment begins, whose gradients of the keys from `from` on are to be written. */
export function beginHead(kvHead: i32, from: i32): void {
  column = <usize>(kvHead * int(args.headDim)) << 2;
  writtenUntil = from;
  // A call that was aborted may have left keys.
  packedBegin = packedEnd = 0;
}

/** Writes 0 as the gradients of the keys before `end` that have none. */
export function zeroGradientsBefore(end: i32): void {
  const D = int(args.headDim);
  for (; writtenUntil < end; writtenUntil++) {
    const at = writtenUntil * outerRow() + column;
    zeroRow(pointer(args.dk) + at, D);
    zeroRow(pointer(args.dv) + at, D);
  }
}

/** Writes the gradients of the packed keys before `end` to dk and dv. */
function flushUntil(end: i32): void {
  const D = int(args.headDim), outer = outerRow(), array = packedArray();
  const n = end - packedBegin;
  let dk = pointer(args.dk) + packedBegin * outer + column, dv = pointer(args.dv) + packedBegin * outer + column;
  let from = packedKeys() + packedBegin * packedRow() + 2 * array;
  prefetchLines(dk, outer, n, D);
  prefetchLines(dv, outer, n, D);
  for (let i = 0; i < n; i++) {
    copyRow(dk, from, D);
    copyRow(dv, from + array, D);
    dk += outer;
    dv += outer;
    from += packedRow();
  }
  packedBegin = max(packedBegin, end);
}

/** Writes the gradients of all packed keys to dk and dv, which are then up to date. */
export function flushKeys(): void {
  flushUntil(packedEnd);
  packedBegin = packedEnd = 0;
}

/**
 * Makes the keys from begin to end stand side by side, and no earlier ones; false if there is no capacity. Neither ever decreases.
 * @param at the first free byte of the scratch, always the same
 */
export function packKeys(at: usize, begin: i32, end: i32): bool {
  packed = at;
  capacity = <i32>((scratchEnd() - at) / (4 * packedRow()));
  if (end - begin > capacity) return false;
  const D = int(args.headDim), row = packedRow(), outer = outerRow(), array = packedArray();
  flushUntil(min(begin, packedEnd));
  if (begin >= packedEnd) {
    origin = packedBegin = packedEnd = begin;
    zeroGradientsBefore(begin);
  }
  if (end - origin > capacity) {
    for (let i = 0; i < 4; i++) {
      const to = packed + i * array;
      memory.copy(to, to + (begin - origin) * row, (packedEnd - begin) * row);
    }
    origin = begin;
  }
  let first = packedEnd * outer + column;
  let to = packedKeys() + packedEnd * row;
  prefetchLines(pointer(args.k) + first, outer, end - packedEnd, D);
  prefetchLines(pointer(args.v) + first, outer, end - packedEnd, D);
  for (let j = packedEnd; j < end; j++) {
    copyRow(to, pointer(args.k) + first, D);
    copyRow(to + array, pointer(args.v) + first, D);
    if (j >= writtenUntil) {
      zeroRow(to + 2 * array, D);
      zeroRow(to + 3 * array, D);
    } else {
      // A second head that reads these keys goes on with the gradients of the first.
      copyRow(to + 2 * array, pointer(args.dk) + first, D);
      copyRow(to + 3 * array, pointer(args.dv) + first, D);
    }
    first += outer;
    to += row;
  }
  packedEnd = max(packedEnd, end);
  writtenUntil = max(writtenUntil, packedEnd);
  return true;
}
