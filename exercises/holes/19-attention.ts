/**
 * @file Exercise 19: attention in one pass. The plain way makes all scores of a query, then their softmax, then the mean of the values. The fast way
 * reads each key once. It keeps the largest score so far, and the sums relative to it. When a larger score comes, the sums shrink.
 */
import { hole } from '../hole.ts';

/** The sum of softmax(scores)_j * values_j, read once from left to right. Without scores it is 0. */
export function attend(scores: Iterable<number>, values: readonly number[]): number {
  return hole(scores, values);
}
