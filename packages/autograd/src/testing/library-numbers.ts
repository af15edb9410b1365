/** @file Sums that several rows of the library are defined by. */
import { plain } from './op-row.ts';

/** The variance, divided by n - correction. */
export const spread = (xs: readonly number[], correction: number): number => {
  const centre = plain(xs) / xs.length;
  return plain(xs.map((x) => (x - centre) ** 2)) / (xs.length - correction);
};
/** The sum of squares. */
export const squares = (xs: readonly number[]) => plain(xs.map((x) => x * x));
