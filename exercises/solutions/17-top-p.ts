/** @file A solution of exercise 17. */

export function topP(probabilities: readonly number[], p: number): number[] {
  const order = probabilities.map((_, id) => id).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  let before = 0;
  const kept = order.filter((id) => {
    const keep = before <= p;
    before += probabilities[id];
    return keep;
  });
  return kept.sort((a, b) => a - b);
}
