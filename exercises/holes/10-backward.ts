/**
 * @file Exercise 10: walk back. This is reverse-mode differentiation. A tape lists numbers in the order in which they were made. Each names the
 * numbers that it was made of, and its slope by each of them.
 */
import { hole } from '../hole.ts';

/** One number on the tape. `parents` are places earlier on the tape. */
export interface Node {
  readonly parents: readonly number[];
  readonly slopes: readonly number[];
}

/** d last / d node, for each node of the tape. The tape has one node at least. */
export function backward(tape: readonly Node[]): number[] {
  return hole(tape);
}
