/** @file A solution of exercise 8. */

export function biasGradient(g: readonly number[], columns: number): number[] {
  const db: number[] = Array(columns).fill(0);
  g.forEach((value, at) => {
    db[at % columns] += value;
  });
  return db;
}
