/**
 * @file Exercise 8: the gradient of a bias. Y = X + b adds the same b to each of n rows, so b has moved every row. A value that is read in many
 * places gets the sum of what comes back from all of them.
 */
import { hole } from '../hole.ts';

/** db [columns] from g = dL/dY, which has rows of `columns` values, one after the other. */
export function biasGradient(g: readonly number[], columns: number): number[] {
  return hole(g, columns);
}
