/**
 * @file Exercise 3: a softmax that does not overflow. p_i = e^(x_i) / sum_j e^(x_j). The formula as it stands gives NaN for x = [1000],
 * because e^1000 is more than a number can hold.
 */
import { hole } from '../hole.ts';

/** Probabilities of logits. Any finite logits are allowed. */
export function softmax(x: readonly number[]): number[] {
  return hole(x);
}
