/** @file A solution of exercise 4. */

export function crossEntropy(x: readonly number[], target: number): number {
  const largest = Math.max(...x);
  const sum = x.reduce((total, xi) => total + Math.exp(xi - largest), 0);
  return largest - x[target] + Math.log(sum);
}
