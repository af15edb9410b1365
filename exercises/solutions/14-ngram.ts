/** @file A solution of exercise 14. */

export function ngramRow(ids: readonly number[], i: number, n: number, rows: number, prime = 1_000_000_007n): number {
  let h = 0n;
  for (let j = i; j > i - n; j--) h = BigInt.asIntN(64, h * prime + BigInt(ids[j] ?? 0));
  return (Number(h % BigInt(rows)) + rows) % rows;
}
