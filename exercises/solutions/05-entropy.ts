/** @file A solution of exercise 5. */

export function entropy(p: readonly number[]): number {
  return p.reduce((sum, pi) => (pi === 0 ? sum : sum - pi * Math.log(pi)), 0);
}
