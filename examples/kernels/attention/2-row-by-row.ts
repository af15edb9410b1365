/**
 * @file Attention, rung 2: row by row. Only the keys of the interval are visited, and one row of scores is kept instead of n x m of them.
 */
import { subtractMax } from '../softmax/2-subtract-max.ts';
import type { Heads } from '../types.ts';

/** out_i = sum over lo[i] <= j < hi[i] of softmax_j(q_i . k_j / sqrt(D)) v_j. */
export function rowByRow({ q, k, v, lo, hi, D }: Heads, out: Float32Array): void {
  out.fill(0);
  const all = new Float32Array(k.length / D);
  for (let i = 0; i * D < q.length; i++) {
    if (lo[i] >= hi[i]) continue;
    const scores = all.subarray(0, hi[i] - lo[i]);
    for (let j = lo[i]; j < hi[i]; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += q[i * D + d] * k[j * D + d];
      scores[j - lo[i]] = dot / Math.sqrt(D);
    }
    subtractMax(scores, scores, scores.length);
    for (let j = lo[i]; j < hi[i]; j++) {
      const p = scores[j - lo[i]];
      for (let d = 0; d < D; d++) out[i * D + d] += p * v[j * D + d];
    }
  }
}
