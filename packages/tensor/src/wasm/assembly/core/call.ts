/**
 * @file How a kernel gets its arguments and its share of the work.
 *
 * The runtime writes the arguments of a call as 32-bit words into one block of the shared memory, each into the word that
 * ../../arguments/ names, and then calls the kernel as
 * `kernel(part, parts)`: on this thread alone (0, 1), or cut into pieces that the threads of the pool take one after the other,
 * for threads are not equally fast. A kernel that cuts its work itself (`takeUnit`) is called once on each thread instead.
 * However it is cut, an element of the output is computed by one thread in one fixed order: the bits do not depend on the threads.
 */
import * as layout from '../../arguments/layout';

const NEXT_UNIT: usize = layout.NEXT_UNIT;
const SCRATCH_BYTES: usize = layout.SCRATCH_BYTES;

/** 1 where the engine joins pairs of neighbouring 128-bit operations into 256-bit ones: see matmul/tile-6x16.ts. */
// @ts-ignore: decorator
@external("env", "wide")
export declare const wide: i32;

/** 1 where multiply-adds round once, 0 where products and sums are rounded separately: see `madd`. */
// @ts-ignore: decorator
@external("env", "fused")
export declare const fused: i32;

/** Address of the control block, which begins with the arguments. */
// @ts-ignore: decorator
@external("env", "control")
export declare const control: usize;

/** Argument i as an address. */
// @ts-ignore: decorator
@inline
export function pointer(i: i32): usize {
  return load<u32>(control + (<usize>i << 2));
}

/** Argument i as a whole number. */
// @ts-ignore: decorator
@inline
export function int(i: i32): i32 {
  return load<i32>(control + (<usize>i << 2));
}

/** Argument i as a float. */
// @ts-ignore: decorator
@inline
export function float(i: i32): f32 {
  return load<f32>(control + (<usize>i << 2));
}

/** The next piece of work, each number handed out once. For work whose pieces differ in cost. */
// @ts-ignore: decorator
@inline
export function takeUnit(): i32 {
  return atomic.add<i32>(control + NEXT_UNIT, 1);
}

/** Where part `part` of `n` items begins, in whole multiples of `grain`; part `parts` begins at n. */
export function partBegin(n: i32, grain: i32, part: i32, parts: i32): i32 {
  const units = (n + grain - 1) / grain;
  return min(n, <i32>((<i64>units * part) / parts) * grain);
}

/** This thread's private working memory. */
let scratchBase: usize = 0;

export function setScratch(base: usize): void {
  scratchBase = base;
}

// @ts-ignore: decorator
@inline
export function scratch(): usize {
  return scratchBase;
}

/** 64 floats of it that nothing else uses: where a dot product puts down its partial sums. */
// @ts-ignore: decorator
@inline
export function sums(): usize {
  return scratchBase + (SCRATCH_BYTES - 256);
}
