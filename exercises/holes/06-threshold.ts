/**
 * @file Exercise 6: cut where the model is unsure. H[i] is the entropy of the prediction made after id i, and it is about id i + 1. Where it is
 * above the threshold, id i + 1 starts a patch. Ids 0 and 1 always do.
 */
import { hole } from '../hole.ts';

/** The starts of the patches, rising. The last may be H.length, which is the id yet to come. H has one value at least. */
export function starts(H: readonly number[], threshold: number): number[] {
  return hole(H, threshold);
}
