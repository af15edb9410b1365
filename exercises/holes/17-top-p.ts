/**
 * @file Exercise 17: top-p. Sampling from all bytes lets nonsense in, because many small probabilities add up. Top-p keeps the most probable ids
 * until their mass exceeds p. In falling order an id is dropped if the mass BEFORE it is above p. Among equals the lower id comes first.
 */
import { hole } from '../hole.ts';

/** The ids that are kept, rising. */
export function topP(probabilities: readonly number[], p: number): number[] {
  return hole(probabilities, p);
}
