/** @file A solution of exercise 19. */

export function attend(scores: Iterable<number>, values: readonly number[]): number {
  let [largest, mass, sum, j] = [Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (const score of scores) {
    const next = Math.max(largest, score);
    const shrink = Math.exp(largest - next);
    const weight = Math.exp(score - next);
    mass = mass * shrink + weight;
    sum = sum * shrink + weight * values[j++];
    largest = next;
  }
  return mass === 0 ? 0 : sum / mass;
}
