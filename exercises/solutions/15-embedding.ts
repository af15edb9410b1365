/** @file A solution of exercise 15. */

export function lookupGradient(g: readonly (readonly number[])[], ids: readonly number[], rows: number): number[][] {
  const dT = Array.from({ length: rows }, (): number[] => Array(g[0].length).fill(0));
  ids.forEach((id, i) => {
    g[i].forEach((value, c) => {
      dT[id][c] += value;
    });
  });
  return dT;
}
