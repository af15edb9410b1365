/** @file Definitions of softmax and cross-entropy. */
import type { CpuKernel, View } from './view.ts';

/** Largest value and ln sum_c e^(x_c - max) of row i. */
function logSumExp(x: View, i: number, C: number): { max: number; logSum: number } {
  let max = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < C; c++) max = Math.max(max, x.data[i * C + c]);
  let sum = 0;
  for (let c = 0; c < C; c++) sum += Math.exp(x.data[i * C + c] - max);
  return { max, logSum: Math.log(sum) };
}

const softmax: CpuKernel<'softmax'> = ([y], [x]) => {
  const C = x.shape.at(-1)!;
  for (let i = 0; i * C < x.data.length; i++) {
    const { max, logSum } = logSumExp(x, i, C);
    for (let c = 0; c < C; c++) y.data[i * C + c] = Math.exp(x.data[i * C + c] - max - logSum);
  }
};

const logSoftmax: CpuKernel<'logSoftmax'> = ([y], [x]) => {
  const C = x.shape.at(-1)!;
  for (let i = 0; i * C < x.data.length; i++) {
    const { max, logSum } = logSumExp(x, i, C);
    for (let c = 0; c < C; c++) y.data[i * C + c] = x.data[i * C + c] - max - logSum;
  }
};

const crossEntropy: CpuKernel<'crossEntropy'> = ([loss], [logits, targets]) => {
  const [n, V] = logits.shape;
  for (let i = 0; i < n; i++) {
    const { max, logSum } = logSumExp(logits, i, V);
    // max - x comes first, because both may be huge and their difference is not.
    loss.data[i] = max - logits.data[i * V + targets.data[i]] + logSum;
  }
};

const crossEntropyBackward: CpuKernel<'crossEntropyBackward'> = ([dx], [logits, targets, g]) => {
  const [n, V] = logits.shape;
  for (let i = 0; i < n; i++) {
    const { max, logSum } = logSumExp(logits, i, V);
    for (let v = 0; v < V; v++) {
      const p = Math.exp(logits.data[i * V + v] - max - logSum);
      dx.data[i * V + v] = g.data[i] * (p - (v === targets.data[i] ? 1 : 0));
    }
  }
};

export const softmaxKernels = { softmax, logSoftmax, crossEntropy, crossEntropyBackward };
