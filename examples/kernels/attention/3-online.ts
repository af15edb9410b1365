/**
 * @file Attention, rung 3: online softmax. The scores are not kept at all. A row of the result is scaled down whenever a larger score
 * comes, and divided by the sum at the end. So keys may come in stretches of any length, as they do in the shipped kernel.
 */
import type { Heads } from '../types.ts';

/** out_i = sum over lo[i] <= j < hi[i] of softmax_j(q_i . k_j / sqrt(D)) v_j. */
export function onlineAttention({ q, k, v, lo, hi, D }: Heads, out: Float32Array): void {
  out.fill(0);
  for (let i = 0; i * D < q.length; i++) {
    let max = Number.NEGATIVE_INFINITY;
    let sum = 0;
    for (let j = lo[i]; j < hi[i]; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += q[i * D + d] * k[j * D + d];
      const score = dot / Math.sqrt(D);
      if (score > max) {
        const shrink = Math.exp(max - score);
        max = score;
        sum *= shrink;
        for (let d = 0; d < D; d++) out[i * D + d] *= shrink;
      }
      const p = Math.exp(score - max);
      sum += p;
      for (let d = 0; d < D; d++) out[i * D + d] += p * v[j * D + d];
    }
    if (sum > 0) for (let d = 0; d < D; d++) out[i * D + d] /= sum;
  }
}
