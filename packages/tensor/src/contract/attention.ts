/** @file Contract of interval attention. */
import { formatShape } from '../shape.ts';
import {
  type AttentionAttrs,
  type Entries,
  expect,
  expectRank,
  expectShape,
  f32,
  type IndexRange,
  type Spec,
} from './types.ts';

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

/** Bounds of the keys that a row sees: from 0 to one past the last key. */
const bounds = (['lo', 'hi'] as const).map(
  (name, i): IndexRange<unknown> => ({ input: 3 + i, name, end: ([, k]) => k.shape[0] + 1, step: 0 }),
);

export const attention = {
  /**
   * Attention where query row i sees the key rows lo[i] .. hi[i]-1 and nothing else (see docs/architecture.md, "Every attention is an interval").
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
    // Two products of 2 D FLOPs for each pair and head: q k^T and P v.
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
    // Five such products: the scores again, g v^T, dq, dk and dv.
    flops: ([q], _, a) => 10 * a.pairs * q.shape[1],
  },
} satisfies Entries;
