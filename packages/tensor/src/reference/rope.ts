/** @file Definition of rotary position embedding. */
import type { CpuKernel } from './view.ts';

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

export const ropeKernels = { rope };
