/** @file Definition of interval attention, and its gradient. */
import type { CpuKernel, View } from './view.ts';

/** sum_d x[ix + d] * y[iy + d] */
function dot(x: View, ix: number, y: View, iy: number, D: number): number {
  let total = 0;
  for (let d = 0; d < D; d++) total += x.data[ix + d] * y.data[iy + d];
  return total;
}

const intervalAttention: CpuKernel<'intervalAttention'> = ([out, lse], [q, k, v, lo, hi], a) => {
  const n = q.shape[0];
  const D = q.shape[1] / a.heads;
  const group = a.heads / a.kvHeads;
  out.data.fill(0);
  lse.data.fill(0);
  for (let i = 0; i < n; i++) {
    const begin = lo.data[i];
    const end = hi.data[i];
    if (begin >= end) continue;
    for (let h = 0; h < a.heads; h++) {
      const iq = i * a.heads * D + h * D;
      const row = (j: number) => j * a.kvHeads * D + Math.floor(h / group) * D;
      const scores: number[] = [];
      for (let j = begin; j < end; j++) scores.push(a.scale * dot(q, iq, k, row(j), D));
      let max = Number.NEGATIVE_INFINITY;
      for (const s of scores) max = Math.max(max, s);
      let sum = 0;
      for (const s of scores) sum += Math.exp(s - max);
      const total = new Float64Array(D);
      for (let j = begin; j < end; j++) {
        const p = Math.exp(scores[j - begin] - max) / sum;
        for (let d = 0; d < D; d++) total[d] += p * v.data[row(j) + d];
      }
      for (let d = 0; d < D; d++) out.data[iq + d] = total[d];
      lse.data[i * a.heads + h] = max + Math.log(sum);
    }
  }
};

/** The sums run over the query rows in rising order. delta = g . out of a row, ds = scale p (g . v - delta). */
const intervalAttentionBackward: CpuKernel<'intervalAttentionBackward'> = (
  [dq, dk, dv],
  [q, k, v, lo, hi, out, lse, g],
  a,
) => {
  const n = q.shape[0];
  const D = q.shape[1] / a.heads;
  const group = a.heads / a.kvHeads;
  for (const d of [dq, dk, dv]) d.data.fill(0);
  for (let i = 0; i < n; i++) {
    for (let h = 0; h < a.heads; h++) {
      const iq = i * a.heads * D + h * D;
      const delta = dot(g, iq, out, iq, D);
      for (let j = lo.data[i]; j < hi.data[i]; j++) {
        const ik = j * a.kvHeads * D + Math.floor(h / group) * D;
        const p = Math.exp(a.scale * dot(q, iq, k, ik, D) - lse.data[i * a.heads + h]);
        const ds = a.scale * p * (dot(g, iq, v, ik, D) - delta);
        for (let d = 0; d < D; d++) {
          dv.data[ik + d] += p * g.data[iq + d];
          dq.data[iq + d] += ds * k.data[ik + d];
          dk.data[ik + d] += ds * q.data[iq + d];
        }
      }
    }
  }
};

export const attentionKernels = { intervalAttention, intervalAttentionBackward };
