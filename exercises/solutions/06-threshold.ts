/** @file A solution of exercise 6. */

export function starts(H: readonly number[], threshold: number): number[] {
  return [0, ...H.map((_, i) => i + 1)].filter((i) => i < 2 || H[i - 1] > threshold);
}
