/** @file Contract of rotary position embedding. */
import { sizeOf } from '../shape.ts';
import { type Entries, expect, expectRank, expectShape } from './types.ts';

export const rope = {
  /**
   * Rotary position embedding on interleaved pairs: x [n, heads*D], cos and sin [maxPosition, D/2], positions [n].
   * Within each head, with (a, b) = (x[2j], x[2j+1]) and the angle of (positions[i], j):
   * (a cos - b sin, a sin + b cos); `inverse` turns the other way, which is also the gradient. Su et al. 2021, eq. 34.
   */
  rope: {
    inputs: ['f32', 'f32', 'f32', 'i32'],
    outputs: ([x, cos, sin, positions], { headDim }) => {
      expectRank('rope', 'x', x, 2);
      expect(
        headDim >= 2 && headDim % 2 === 0 && x.shape[1] % headDim === 0,
        () => `rope: head dim ${headDim} must be even and divide the width ${x.shape[1]}`,
      );
      expectShape('rope', 'cos', cos, [cos.shape[0], headDim / 2]);
      expectShape('rope', 'sin', sin, cos.shape);
      expectShape('rope', 'positions', positions, [x.shape[0]]);
      return [x];
    },
    indices: [{ input: 3, name: 'position', end: ([, cos]) => cos.shape[0] }],
    flops: ([x]) => 3 * sizeOf(x.shape),
    aliases: [0],
  },
} satisfies Entries;
