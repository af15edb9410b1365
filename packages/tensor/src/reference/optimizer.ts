/** @file Definitions of AdamW and the moving average, in place. */
import type { AdamWAttrs } from '../contract.ts';
import { integerPower } from '../numerics/integer-power.ts';
import type { CpuKernel, View } from './view.ts';

/** One element of AdamW; `i` in p, m and v, `ig` in the gradient. */
function update(p: View, m: View, v: View, i: number, g: number, a: AdamWAttrs): void {
  m.data[i] = a.beta1 * m.data[i] + (1 - a.beta1) * g;
  v.data[i] = a.beta2 * v.data[i] + (1 - a.beta2) * g * g;
  const mHat = m.data[i] / (1 - integerPower(a.beta1, a.step));
  const vHat = v.data[i] / (1 - integerPower(a.beta2, a.step));
  p.data[i] = p.data[i] * (1 - a.lr * a.weightDecay) - (a.lr * mHat) / (Math.sqrt(vHat) + a.eps);
}

const adamw: CpuKernel<'adamw'> = (_, [p, m, v, g, scale], attrs) => {
  for (let i = 0; i < p.data.length; i++) update(p, m, v, i, g.data[i] * scale.data[0], attrs);
};

const adamwRows: CpuKernel<'adamwRows'> = (_, [p, m, v, ids, g, scale], attrs) => {
  const C = p.shape[1];
  for (let u = 0; u < ids.data.length; u++) {
    for (let c = 0; c < C; c++) {
      update(p, m, v, ids.data[u] * C + c, g.data[u * C + c] * scale.data[0], attrs);
    }
  }
};

const adamwCatchUp: CpuKernel<'adamwCatchUp'> = (_, [p, m, v, ids, factors]) => {
  const C = p.shape[1];
  for (let u = 0; u < ids.data.length; u++) {
    const [keepP, keepM, keepV, drift, eps] = factors.data.subarray(u * 5, u * 5 + 5);
    for (let i = ids.data[u] * C; i < (ids.data[u] + 1) * C; i++) {
      const root = Math.sqrt(v.data[i]) + eps;
      p.data[i] = p.data[i] * keepP - (root > 0 ? (drift * m.data[i]) / root : 0);
      m.data[i] *= keepM;
      v.data[i] *= keepV;
    }
  }
};

const lerp: CpuKernel<'lerp'> = (_, [a, b], { weight }) => {
  for (let i = 0; i < a.data.length; i++) a.data[i] += weight * (b.data[i] - a.data[i]);
};

export const optimizerKernels = { adamw, adamwRows, adamwCatchUp, lerp };
