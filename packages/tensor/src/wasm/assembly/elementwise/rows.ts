/** @file The pieces and the ragged ends of elementwise kernels. */
import { storeTail } from '../core/simd';

/** Threads share elementwise work in pieces of this many elements. */
export const GRAIN = 1024;

/** The first n lanes at p, all four if there are more. */
export function storeUpTo4(p: usize, x: v128, n: i32): void {
  if (n >= 4) v128.store(p, x);
  else storeTail(p, x, n);
}
