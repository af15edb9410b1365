/** @file Contract of the matrix product. */
import { formatShape, sameShape, sizeOf } from '../shape.ts';
import { type Entries, expect, f32 } from './types.ts';

export const matmul = {
  /**
   * Matrix product over the last two axes: y[..,i,j] = sum_l a[..,i,l] * b[..,l,j]; transposeA reads a as [..,K,M],
   * transposeB reads b as [..,N,K]. Leading axes must be equal.
   */
  matmul: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b], { transposeA, transposeB }) => {
      expect(
        a.shape.length >= 2 && b.shape.length >= 2,
        () =>
          `matmul: needs matrices, got a ${formatShape(a.shape)} and b ${formatShape(b.shape)}; reshape a vector to [n,1] or [1,n]`,
      );
      const [m, ka] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
      const [kb, n] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
      const text = () =>
        `a ${formatShape(a.shape)}${transposeA ? '^T' : ''} x b ${formatShape(b.shape)}${transposeB ? '^T' : ''}`;
      expect(ka === kb, () => `matmul: inner sizes differ, ${text()}: ${ka} != ${kb}`);
      const lead = a.shape.slice(0, -2);
      expect(sameShape(lead, b.shape.slice(0, -2)), () => `matmul: leading axes differ, ${text()}`);
      return [f32([...lead, m, n])];
    },
    flops: ([a], [y], { transposeA }) => 2 * sizeOf(y.shape) * a.shape.at(transposeA ? -2 : -1)!,
  },
} satisfies Entries;
