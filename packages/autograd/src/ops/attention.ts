/** @file Attention over intervals of keys. composed.ts has it as primitive operations with a dense mask. */
import { checkTensor, type Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/**
 * The keys that each of n query rows sees: row i sees the key rows lo[i] .. hi[i]-1. lo and hi are [n] i32, and neither ever decreases.
 */
export interface IntervalBounds {
  readonly lo: Tensor;
  readonly hi: Tensor;
  /** Sum of hi - lo, from which FLOPs are counted. */
  readonly pairs: number;
  /**
   * Inference: a row's bits depend on its query, keys and values alone, so that a text gives the same bits as a whole, byte by byte, and
   * among others. The forward pass takes somewhat longer on the wasm backend. Other backends work like that anyway.
   */
  readonly batchInvariant?: boolean;
}

/**
 * Attention where each query row sees one interval of key rows (an empty one gives zeros). Per head:
 * out_i = sum_j softmax_j(q_i . k_j / sqrt(D)) v_j.
 * @param q [n, heads*D]   @param k [m, kvHeads*D]   @param v [m, kvHeads*D]
 * @param kvHeads heads/kvHeads query heads share a key/value head (grouped-query attention)
 * @throws ShapeError; RangeError naming the first row whose bound decreases or lies outside the keys
 * @see Vaswani et al. 2017, eq. 1
 */
export function intervalAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  bounds: IntervalBounds,
  heads: number,
  kvHeads: number = heads,
): Tensor {
  for (const [name, x] of Object.entries({ q, k, v, lo: bounds?.lo, hi: bounds?.hi })) {
    checkTensor(`intervalAttention: ${name}`, x);
  }
  const scale = 1 / Math.sqrt(q.shape[1] / heads);
  const { pairs, batchInvariant } = bounds;
  const attrs = { heads, kvHeads, scale, pairs, ...(batchInvariant && { batchInvariant }) };
  return apply('intervalAttention', [q, k, v, bounds.lo, bounds.hi], attrs);
}
