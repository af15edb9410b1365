/** @file A solution of exercise 12. */

export function decoderInterval(n: number, starts: readonly number[], k: number): { lo: number[]; hi: number[] } {
  const patchOf = (i: number) => starts.filter((start) => start <= i).length - 1;
  const read = Array.from({ length: n }, (_, i) => patchOf(i + 1) - 1);
  return { lo: read.map((patch) => patch * k), hi: read.map((patch) => patch * k + k) };
}
