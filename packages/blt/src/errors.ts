/** @file Numbers that are not numbers: noticed where they first matter, named by where they come from. */

/** A loss, a gradient or an entropy that is not a number: what would be made of it is worth nothing. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/**
 * Checks entropies before patches are cut by them: no comparison with NaN holds, so a whole text would become one patch in silence.
 * @throws NonFiniteError saying what they are
 */
export function checkEntropies(entropies: ArrayLike<number>): void {
  for (let i = 0; i < entropies.length; i++) {
    if (!Number.isFinite(entropies[i])) {
      throw new NonFiniteError(
        `an entropy of the entropy model is ${entropies[i]}; its weights are broken, take an earlier checkpoint`,
      );
    }
  }
}
