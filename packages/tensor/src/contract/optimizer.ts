/** @file Contract of the optimiser, which updates in place. */
import { sizeOf } from '../shape.ts';
import { idsOf, rowsOf } from './indices.ts';
import { type Entries, expectRank, expectShape, type Spec } from './types.ts';

const risingIds = { ...idsOf<unknown>(3, rowsOf), step: 1 } as const;

function adamwShapes(op: string, [p, m, v]: readonly Spec[]): void {
  expectShape(op, 'first moment m', m, p.shape);
  expectShape(op, 'second moment v', v, p.shape);
}

export const optimizer = {
  /**
   * In place: p, m, v, g, gradScale [] (the clipping factor). With g' = gradScale g:
   * m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2;
   * p = p (1 - lr weightDecay) - lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps).
   * Loshchilov & Hutter 2019, algorithm 2.
   */
  adamw: {
    inputs: ['f32', 'f32', 'f32', 'f32', 'f32'],
    outputs: (ins) => {
      adamwShapes('adamw', ins);
      expectShape('adamw', 'gradient', ins[3], ins[0].shape);
      expectShape('adamw', 'gradScale', ins[4], []);
      return [];
    },
    flops: ([p]) => 14 * sizeOf(p.shape),
    mutates: [0, 1, 2],
  },
  /**
   * The update of `adamw`, in place, on the rows ids [U] (rising, unique) of p, m, v [V,C] alone: p, m, v, ids, g [U,C],
   * gradScale []. Cost follows the rows touched, never the table.
   */
  adamwRows: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'f32', 'f32'],
    outputs: (ins) => {
      adamwShapes('adamwRows', ins);
      const [p, , , ids, g, scale] = ins;
      expectRank('adamwRows', 'p', p, 2);
      expectRank('adamwRows', 'ids', ids, 1);
      expectShape('adamwRows', 'gradient rows', g, [ids.shape[0], p.shape[1]]);
      expectShape('adamwRows', 'gradScale', scale, []);
      return [];
    },
    indices: [risingIds],
    flops: ([, , , , g]) => 14 * sizeOf(g.shape),
    mutates: [0, 1, 2],
  },
  /**
   * All updates with zero gradients that rows have skipped since they were last updated, at once. In place, on the rows ids [U] (rising,
   * unique) of p, m, v [V,C], with five factors for each row: p, m, v, ids, factors [U,5]. With f = factors[u]:
   * p = p f0 - f3 m / (sqrt(v) + f4), or p = p f0 where sqrt(v) + f4 is 0; m = m f1; v = v f2.
   * The optimiser computes the factors from the learning rates of the skipped updates.
   */
  adamwCatchUp: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'f32'],
    outputs: (ins) => {
      adamwShapes('adamwCatchUp', ins);
      const [p, , , ids, factors] = ins;
      expectRank('adamwCatchUp', 'p', p, 2);
      expectRank('adamwCatchUp', 'ids', ids, 1);
      expectShape('adamwCatchUp', 'factors', factors, [ids.shape[0], 5]);
      return [];
    },
    indices: [risingIds],
    flops: ([p, , , ids]) => 8 * ids.shape[0] * p.shape[1],
    mutates: [0, 1, 2],
  },
  /** In place: a = a + weight (b - a). Exponential moving averages of weights. */
  lerp: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b]) => {
      expectShape('lerp', 'b', b, a.shape);
      return [];
    },
    flops: ([a]) => 3 * sizeOf(a.shape),
    mutates: [0],
  },
} satisfies Entries;
