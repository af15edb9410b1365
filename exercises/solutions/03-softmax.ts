/** @file A solution of exercise 3. */

export function softmax(x: readonly number[]): number[] {
  const largest = Math.max(...x);
  const e = x.map((xi) => Math.exp(xi - largest));
  const sum = e.reduce((a, b) => a + b);
  return e.map((ei) => ei / sum);
}
