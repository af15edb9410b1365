/** @file Contract of root-mean-square normalisation. */
import { sizeOf } from '../shape.ts';
import { type Entries, expect, expectShape } from './types.ts';

export const norm = {
  /** x [n,C], w [C] -> y = x * w / sqrt(mean_c x^2 + eps). Zhang & Sennrich 2019, eq. 4. */
  rmsNorm: {
    inputs: ['f32', 'f32'],
    outputs: ([x, w]) => {
      expect(x.shape.length >= 1, () => 'rmsNorm: x needs at least one axis');
      expectShape('rmsNorm', 'w', w, [x.shape.at(-1)!]);
      return [x];
    },
    flops: ([x]) => 4 * sizeOf(x.shape),
  },
  /**
   * x, w, g -> [dx, dw]. With r = 1/sqrt(mean x^2 + eps): dw = sum over rows of g x r;
   * dx = r (g w - x r^2 mean_c(g w x)).
   */
  rmsNormBackward: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([x, w, g]) => {
      expectShape('rmsNormBackward', 'w', w, x.shape.slice(-1));
      expectShape('rmsNormBackward', 'g', g, x.shape);
      return [x, w];
    },
    flops: ([x]) => 9 * sizeOf(x.shape),
    aliases: [2],
  },
} satisfies Entries;
