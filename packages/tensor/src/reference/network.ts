import { sigmoid } from './elementwise.ts';
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
    // max - x first: both may be huge, their difference is not.
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

/** 1 / sqrt(mean of squares of row i + eps) */
function inverseRms(x: View, i: number, C: number, eps: number): number {
  let squares = 0;
  for (let c = 0; c < C; c++) squares += x.data[i * C + c] * x.data[i * C + c];
  return 1 / Math.sqrt(squares / C + eps);
}

const rmsNorm: CpuKernel<'rmsNorm'> = ([y], [x, w], { eps }) => {
  const C = w.data.length;
  for (let i = 0; i * C < x.data.length; i++) {
    const r = inverseRms(x, i, C, eps);
    for (let c = 0; c < C; c++) y.data[i * C + c] = x.data[i * C + c] * r * w.data[c];
  }
};

const rmsNormBackward: CpuKernel<'rmsNormBackward'> = ([dx, dw], [x, w, g], { eps }) => {
  const C = w.data.length;
  const dwTotal = new Float64Array(C);
  for (let i = 0; i * C < x.data.length; i++) {
    const r = inverseRms(x, i, C, eps);
    let dot = 0;
    for (let c = 0; c < C; c++) {
      const at = i * C + c;
      dot += g.data[at] * w.data[c] * x.data[at];
      dwTotal[c] += g.data[at] * x.data[at] * r;
    }
    const k = (dot / C) * r * r;
    for (let c = 0; c < C; c++) dx.data[i * C + c] = r * (g.data[i * C + c] * w.data[c] - x.data[i * C + c] * k);
  }
  dw.data.set(dwTotal);
};

const rope: CpuKernel<'rope'> = ([y], [x, cos, sin, positions], { headDim, inverse }) => {
  const [n, width] = x.shape;
  const half = headDim / 2;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < width; c += 2) {
      const angle = positions.data[i] * half + (c % headDim) / 2;
      const cosine = cos.data[angle];
      const sine = inverse ? -sin.data[angle] : sin.data[angle];
      const a = x.data[i * width + c];
      const b = x.data[i * width + c + 1];
      y.data[i * width + c] = a * cosine - b * sine;
      y.data[i * width + c + 1] = a * sine + b * cosine;
    }
  }
};

const swiGlu: CpuKernel<'swiGlu'> = ([y], [a, b]) => {
  for (let i = 0; i < y.data.length; i++) y.data[i] = a.data[i] * sigmoid(a.data[i]) * b.data[i];
};

const swiGluBackward: CpuKernel<'swiGluBackward'> = ([da, db], [a, b, g]) => {
  for (let i = 0; i < g.data.length; i++) {
    // First all that is read: da may lie where g does, db where b does.
    const [ai, bi, gi] = [a.data[i], b.data[i], g.data[i]];
    const s = sigmoid(ai);
    da.data[i] = gi * bi * s * (1 + ai * (1 - s));
    db.data[i] = gi * ai * s;
  }
};

export const network = {
  softmax,
  logSoftmax,
  crossEntropy,
  crossEntropyBackward,
  rmsNorm,
  rmsNormBackward,
  rope,
  swiGlu,
  swiGluBackward,
};
