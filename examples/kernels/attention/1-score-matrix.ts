/** @file Attention, rung 1: the definition. All n x m scores are made, those that a row may not see are masked, and softmax follows. */
import { subtractMax } from '../softmax/2-subtract-max.ts';
import type { Heads } from '../types.ts';

/** out_i = sum over lo[i] <= j < hi[i] of softmax_j(q_i . k_j / sqrt(D)) v_j. */
export function scoreMatrix({ q, k, v, lo, hi, D }: Heads, out: Float32Array): void {
  const [n, m] = [q.length / D, k.length / D];
  const scores = new Float32Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += q[i * D + d] * k[j * D + d];
      const seen = j >= lo[i] && j < hi[i];
      scores[i * m + j] = seen ? dot / Math.sqrt(D) : Number.NEGATIVE_INFINITY;
    }
  }
  subtractMax(scores, scores, m);
  out.fill(0);
  for (let i = 0; i < n; i++) {
    if (lo[i] >= hi[i]) continue; // a row that sees nothing: its softmax is 0 / 0, its result is 0
    for (let j = 0; j < m; j++) {
      for (let d = 0; d < D; d++) out[i * D + d] += scores[i * m + j] * v[j * D + d];
    }
  }
}
