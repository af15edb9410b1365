/**
 * @file Exercise 5: how unsure a prediction is. H = -sum_i p_i ln p_i, in nats. A certain prediction has 0, and a blind guess among n has ln n.
 * This number decides where a patch ends.
 */
import { hole } from '../hole.ts';

/** The entropy of probabilities. Some may be 0, and these add nothing. */
export function entropy(p: readonly number[]): number {
  return hole(p);
}
