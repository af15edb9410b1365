/** @file Contract of the kernels of neural networks and their optimiser. */
import { formatShape, sizeOf } from '../shape.ts';
import type { IndexRange } from './indices.ts';
import { idsOf, rowsOf } from './rows.ts';
import {
  type AttentionAttrs,
  type Entries,
  expect,
  expectRank,
  expectShape,
  f32,
  type KernelEntry,
  type Spec,
} from './types.ts';

/** softmax and logSoftmax: same shape, over the last axis. */
const rowwise = (op: string): KernelEntry<unknown> => ({
  inputs: ['f32'],
  outputs: ([x]) => {
    expect(x.shape.length >= 1, () => `${op}: needs at least one axis, got a scalar`);
    return [x];
  },
  flops: ([x]) => 5 * sizeOf(x.shape),
});

function attentionShapes(op: string, [q, k, v, lo, hi]: readonly Spec[], a: AttentionAttrs): { n: number; D: number } {
  expectRank(op, 'q', q, 2);
  expectRank(op, 'k', k, 2);
  const [n, width] = q.shape;
  expect(
    Number.isInteger(a.heads) && a.heads >= 1 && width % a.heads === 0,
    () => `${op}: width ${width} of q ${formatShape(q.shape)} is not a multiple of heads ${a.heads}`,
  );
  expect(
    Number.isInteger(a.kvHeads) && a.kvHeads >= 1 && a.heads % a.kvHeads === 0,
    () => `${op}: heads ${a.heads} is not a multiple of kvHeads ${a.kvHeads}`,
  );
  const D = width / a.heads;
  expectShape(op, `k (kvHeads ${a.kvHeads} x head dim ${D})`, k, [k.shape[0], a.kvHeads * D]);
  expectShape(op, 'v', v, k.shape);
  expectShape(op, 'lo', lo, [n]);
  expectShape(op, 'hi', hi, [n]);
  return { n, D };
}

const targets: IndexRange<unknown> = { input: 1, name: 'target', end: ([logits]) => logits.shape[1] };

/** Bounds of the keys that a row sees: from 0 to one past the last key. */
const bounds = (['lo', 'hi'] as const).map(
  (name, i): IndexRange<unknown> => ({ input: 3 + i, name, end: ([, k]) => k.shape[0] + 1, step: 0 }),
);

const risingIds = { ...idsOf<unknown>(3, rowsOf), step: 1 } as const;

function adamwShapes(op: string, [p, m, v]: readonly Spec[]): void {
  expectShape(op, 'first moment m', m, p.shape);
  expectShape(op, 'second moment v', v, p.shape);
}

export const network: Entries<
  | 'softmax'
  | 'logSoftmax'
  | 'crossEntropy'
  | 'crossEntropyBackward'
  | 'rmsNorm'
  | 'rmsNormBackward'
  | 'rope'
  | 'swiGlu'
  | 'swiGluBackward'
  | 'intervalAttention'
  | 'intervalAttentionBackward'
  | 'adamw'
  | 'adamwRows'
  | 'adamwCatchUp'
  | 'lerp'
> = {
  /** y = e^(x - max) / sum e^(x - max) over the last axis */
  softmax: rowwise('softmax'),
  /** y = x - max - ln sum e^(x - max) over the last axis */
  logSoftmax: rowwise('logSoftmax'),
  /** logits [n,V], targets [n] -> loss [n] in nats, loss[i] = ln sum_v e^logits[i,v] - logits[i,targets[i]] */
  crossEntropy: {
    inputs: ['f32', 'i32'],
    outputs: ([logits, targets]) => {
      expectRank('crossEntropy', 'logits', logits, 2);
      expectShape('crossEntropy', 'targets', targets, [logits.shape[0]]);
      return [f32([logits.shape[0]])];
    },
    indices: [targets],
    flops: ([logits]) => 4 * sizeOf(logits.shape),
  },
  /** logits [n,V], targets [n], g [n] -> dlogits[i,v] = g[i] * (softmax(logits[i])[v] - [v = targets[i]]) */
  crossEntropyBackward: {
    inputs: ['f32', 'i32', 'f32'],
    outputs: ([logits, targets, g]) => {
      expectRank('crossEntropyBackward', 'logits', logits, 2);
      expectShape('crossEntropyBackward', 'targets', targets, [logits.shape[0]]);
      expectShape('crossEntropyBackward', 'g', g, targets.shape);
      return [logits];
    },
    indices: [targets],
    flops: ([logits]) => 5 * sizeOf(logits.shape),
    aliases: [0],
  },
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
  /** y = silu(a) * b, silu(a) = a / (1 + e^-a). Shazeer 2020, eq. 5. */
  swiGlu: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b]) => {
      expectShape('swiGlu', 'b', b, a.shape);
      return [a];
    },
    flops: ([a]) => 6 * sizeOf(a.shape),
  },
  /** a, b, g -> [da, db]: with s = sigmoid(a), da = g b s (1 + a (1 - s)), db = g a s. */
  swiGluBackward: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([a, b, g]) => {
      expectShape('swiGluBackward', 'b', b, a.shape);
      expectShape('swiGluBackward', 'g', g, a.shape);
      return [a, b];
    },
    flops: ([a]) => 12 * sizeOf(a.shape),
    aliases: [2, 1],
  },
  /**
   * Attention where query row i sees the key rows lo[i] .. hi[i]-1 and nothing else (see docs/architecture.md, idea 1).
   * q [n, heads*D], k and v [m, kvHeads*D], lo and hi [n], both never decreasing -> [out [n, heads*D], lse [n, heads]].
   * Per head: s_j = scale q_i . k_j; out_i = sum_j softmax(s)_j v_j; lse_i = ln sum_j e^(s_j), kept for the backward pass.
   * An empty interval gives out = 0 and lse = 0. Vaswani et al. 2017, eq. 1.
   */
  intervalAttention: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'i32'],
    outputs: (ins, attrs) => {
      const { n } = attentionShapes('intervalAttention', ins, attrs);
      return [ins[0], f32([n, attrs.heads])];
    },
    indices: bounds,
    flops: ([q], _, a) => 4 * a.pairs * q.shape[1],
  },
  /**
   * q, k, v, lo, hi, out, lse, g [n, heads*D] -> [dq, dk, dv]. Per head, with p_ij = e^(s_ij - lse_i) and
   * d_i = g_i . out_i: dv_j = sum_i p_ij g_i; ds_ij = p_ij (g_i . v_j - d_i); dq_i = scale sum_j ds_ij k_j;
   * dk_j = scale sum_i ds_ij q_i. The queries that see key j are an interval too, so nothing is scattered.
   */
  intervalAttentionBackward: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'i32', 'f32', 'f32', 'f32'],
    outputs: (ins, attrs) => {
      const { n } = attentionShapes('intervalAttentionBackward', ins, attrs);
      const [q, k, v, , , out, lse, g] = ins;
      expectShape('intervalAttentionBackward', 'out', out, q.shape);
      expectShape('intervalAttentionBackward', 'lse', lse, [n, attrs.heads]);
      expectShape('intervalAttentionBackward', 'g', g, q.shape);
      return [q, k, v];
    },
    indices: bounds,
    flops: ([q], _, a) => 10 * a.pairs * q.shape[1],
  },

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
   * In place, on the rows ids [U] (rising, unique) of p, m, v [V,C]: what updates with zero gradients, missed since the rows were last
   * touched, would have done to them. p, m, v, ids, factors [U,5]:
   * p = p f0 - f3 m / (sqrt(v) + f4) (nothing where that is 0); m = m f1; v = v f2. The optimiser computes the factors from the rates
   * missed.
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
};
