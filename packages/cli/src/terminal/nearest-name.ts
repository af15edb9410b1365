/** @file The name that was probably meant by a misspelt one. */
/**
 * Edit distance that counts insertions, deletions, substitutions and swaps of neighbours as one each
 * (optimal string alignment), without regard to case.
 */
export function editDistance(a: string, b: string): number {
  const s = a.toLowerCase();
  const t = b.toLowerCase();
  // Three rolling rows of the table d[i][j] = distance between the first i of s and the first j of t.
  let beforeLast: number[] = [];
  let last = Array.from({ length: t.length + 1 }, (_, j) => j);
  for (let i = 1; i <= s.length; i++) {
    const row = [i];
    for (let j = 1; j <= t.length; j++) {
      const substitution = last[j - 1] + (s[i - 1] === t[j - 1] ? 0 : 1);
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, substitution);
      const swapped = i > 1 && j > 1 && s[i - 1] === t[j - 2] && s[i - 2] === t[j - 1];
      if (swapped) row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
    }
    beforeLast = last;
    last = row;
  }
  return last[t.length];
}

/**
 * The candidate most like `name`, or undefined when none is close: at most one edit in three characters (always at least one),
 * or the same letters once `_`, `-` and spaces are left out (patchsize -> patch_size).
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  const bare = (s: string): string => s.toLowerCase().replace(/[-_\s]/g, '');
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = bare(candidate) === bare(name) ? 0 : editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` (did you mean 'x'?)`, or the empty string when no candidate is close. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const best = nearestName(name, candidates);
  return best === undefined ? '' : ` (did you mean '${best}'?)`;
}
