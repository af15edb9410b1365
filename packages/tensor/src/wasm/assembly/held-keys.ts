/**
 * @file Keys, values and their gradients side by side, for the backward pass of interval attention: the rows of one kv head alone,
 * in the thread's scratch.
 *
 * In place they are as far apart as all heads are wide, a power of two as a rule, so that a few sets of the caches would hold them
 * all (docs/performance.md, "Attention"). Blocks of queries move on and the window of keys with them: each key comes once and goes once. The
 * gradients are written to memory when it goes, so that memory need not be zeroed and read before.
 */
import { int, pointer, sums } from './call';
import { touch } from './gemm';

/** Key j is row j - origin of four arrays of `room` rows at `held`; the keys from heldBegin to heldEnd are there. */
let held: usize = 0;
let room: i32 = 0;
let origin: i32 = 0;
let heldBegin: i32 = 0;
let heldEnd: i32 = 0;
/** Bytes to the kv head's first value in a row of all heads. */
let column: usize = 0;
/** The gradients of the keys from here on have not been written by anybody: they are 0. */
let cleared: i32 = 0;

/** Bytes from one row to the next: of all kv heads, and side by side. */
// @ts-ignore: decorator
@inline
const outerRow = (): usize => <usize>(int(14) * int(15)) << 2;
// @ts-ignore: decorator
@inline
export const heldRow = (): usize => <usize>((int(15) + 7) & ~7) << 2;

/** Where key 0 would be, and from one array to the next: k, v, dk, dv. */
// @ts-ignore: decorator
@inline
export const heldKeys = (): usize => held - origin * heldRow();
// @ts-ignore: decorator
@inline
export const heldArray = (): usize => room * heldRow();

/** D values. */
function copyRow(to: usize, from: usize, D: i32): void {
  if (D & 7) return memory.copy(to, from, <usize>D << 2);
  for (const end = to + (<usize>D << 2); to < end; to += 32) {
    const x0 = v128.load(from), x1 = v128.load(from, 16);
    v128.store(to, x0);
    v128.store(to, x1, 16);
    from += 32;
  }
}

/** D zeros. */
function zeroRow(to: usize, D: i32): void {
  if (D & 7) return memory.fill(to, 0, <usize>D << 2);
  for (const end = to + (<usize>D << 2); to < end; to += 32) {
    v128.store(to, f32x4.splat(0));
    v128.store(to, f32x4.splat(0), 16);
  }
}

/** A kv head of a segment begins, whose gradients of the keys from `from` on are to be written. */
export function beginKeys(kvHead: i32, from: i32): void {
  column = <usize>(kvHead * int(15)) << 2;
  cleared = from;
  // Whatever a call that was aborted left.
  heldBegin = heldEnd = 0;
}

/** Writes 0 as the gradients of the keys before `end` that have none. */
export function clearKeys(end: i32): void {
  const D = int(15);
  for (; cleared < end; cleared++) {
    const at = cleared * outerRow() + column;
    zeroRow(pointer(1) + at, D);
    zeroRow(pointer(2) + at, D);
  }
}

/** Writes the gradients of the keys before `end` to where they belong. */
function putBack(end: i32): void {
  const D = int(15), outer = outerRow(), array = heldArray();
  const n = end - heldBegin;
  let dk = pointer(1) + heldBegin * outer + column, dv = pointer(2) + heldBegin * outer + column;
  let from = heldKeys() + heldBegin * heldRow() + 2 * array;
  touch(dk, outer, n, D);
  touch(dv, outer, n, D);
  for (let i = 0; i < n; i++) {
    copyRow(dk, from, D);
    copyRow(dv, from + array, D);
    dk += outer;
    dv += outer;
    from += heldRow();
  }
  heldBegin = max(heldBegin, end);
}

/** Writes all gradients to where they belong: memory is then up to date. */
export function letGoOfKeys(): void {
  putBack(heldEnd);
  heldBegin = heldEnd = 0;
}

/**
 * Makes the keys from begin to end stand side by side, and no earlier ones; false if there is no room. Neither ever decreases.
 * @param at the first free byte of the scratch, always the same
 */
export function holdKeys(at: usize, begin: i32, end: i32): bool {
  held = at;
  room = <i32>((sums() - at) / (4 * heldRow()));
  if (end - begin > room) return false;
  const D = int(15), row = heldRow(), outer = outerRow(), array = heldArray();
  putBack(min(begin, heldEnd));
  if (begin >= heldEnd) {
    origin = heldBegin = heldEnd = begin;
    clearKeys(begin);
  }
  if (end - origin > room) {
    for (let i = 0; i < 4; i++) {
      const to = held + i * array;
      memory.copy(to, to + (begin - origin) * row, (heldEnd - begin) * row);
    }
    origin = begin;
  }
  let first = heldEnd * outer + column;
  let to = heldKeys() + heldEnd * row;
  touch(pointer(4) + first, outer, end - heldEnd, D);
  touch(pointer(5) + first, outer, end - heldEnd, D);
  for (let j = heldEnd; j < end; j++) {
    copyRow(to, pointer(4) + first, D);
    copyRow(to + array, pointer(5) + first, D);
    if (j >= cleared) {
      zeroRow(to + 2 * array, D);
      zeroRow(to + 3 * array, D);
    } else {
      // A second head that reads these keys goes on with the gradients of the first.
      copyRow(to + 2 * array, pointer(1) + first, D);
      copyRow(to + 3 * array, pointer(2) + first, D);
    }
    first += outer;
    to += row;
  }
  heldEnd = max(heldEnd, end);
  cleared = max(cleared, heldEnd);
  return true;
}
