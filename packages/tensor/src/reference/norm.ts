/** @file Definition of root-mean-square normalisation, and its gradient. */
import type { CpuKernel, View } from './view.ts';

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

export const normKernels = { rmsNorm, rmsNormBackward };
