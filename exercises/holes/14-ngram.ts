/**
 * @file Exercise 14: the hash of an n-gram. The n ids that end at place i are one number: h = sum of id * prime^t, where the OLDEST id has t = 0.
 * Before the text there are zeros. h wraps like a signed integer of 64 bits, and its row in the table is h mod rows, from 0 up.
 */
import { hole } from '../hole.ts';

/** The row of the n-gram that ends at place i. BigInt.asIntN(64, h) wraps. */
export function ngramRow(ids: readonly number[], i: number, n: number, rows: number, prime = 1_000_000_007n): number {
  return hole(ids, i, n, rows, prime);
}
