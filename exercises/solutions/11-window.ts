/** @file A solution of exercise 11. */

export function windowInterval(n: number, window: number): { lo: number[]; hi: number[] } {
  const bytes = Array.from({ length: n }, (_, i) => i);
  return { lo: bytes.map((i) => Math.max(0, i - window + 1)), hi: bytes.map((i) => i + 1) };
}
