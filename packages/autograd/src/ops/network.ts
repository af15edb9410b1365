/** @file The fused operations of a transformer. Each has a definition out of primitive ones in `composed.ts`. */
import { checkTensor, type Tensor } from '@blt-ts/tensor';
import { onceOnly, type Rules, reading } from '../rule.ts';
import { apply, applyAll } from '../tape.ts';
import { exp, mul, sub } from './elementwise.ts';
import { sum } from './reduce.ts';

/** e^x / sum e^x over the last axis, safe against overflow. */
export const softmax = (x: Tensor): Tensor => apply('softmax', [x], {});

/** x - ln sum e^x over the last axis, safe against overflow. */
export const logSoftmax = (x: Tensor): Tensor => apply('logSoftmax', [x], {});

/**
 * Cross-entropy of each row, in nats: logits [n,V], targets [n] i32 -> [n], ln sum_v e^logits[i,v] - logits[i,targets[i]].
 * @throws RangeError naming the first target outside 0..V-1
 */
export const crossEntropy = (logits: Tensor, targets: Tensor): Tensor => apply('crossEntropy', [logits, targets], {});

/**
 * Root-mean-square normalisation over the last axis: y = x / sqrt(mean(x^2) + eps) * w.
 * @param x [..., C]   @param w [C]   @param eps added under the root
 * @throws ShapeError if w is not [C]
 * @see Zhang & Sennrich 2019, eq. 4
 */
export const rmsNorm = (x: Tensor, w: Tensor, eps = 1e-5): Tensor => apply('rmsNorm', [x, w], { eps });

/** cos and sin of position * theta^(-2j/headDim), each [positions, headDim/2]. */
export interface RopeTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Rotary position embedding on interleaved pairs (2j, 2j+1) of each head.
 * @param x [n, heads*headDim]   @param table cos, sin [maxPosition, headDim/2]   @param positions [n] i32
 * @param inverse turn the other way
 * @throws RangeError naming the first position outside the table; Error for a gradient with respect to the table, which is constant
 * @see Su et al. 2021, eq. 34
 */
export const rope = (x: Tensor, table: RopeTable, positions: Tensor, headDim: number, inverse = false): Tensor =>
  apply('rope', [x, table.cos, table.sin, positions], { headDim, inverse });

/** silu(a) * b, the gate of a SwiGLU feed-forward layer. @see Shazeer 2020, eq. 5 */
export const swiGlu = (a: Tensor, b: Tensor): Tensor => apply('swiGlu', [a, b], {});

/** Query row i sees the key rows lo[i] .. hi[i]-1; neither bound ever decreases. `pairs` = sum of hi - lo. */
export interface IntervalBounds {
  readonly lo: Tensor;
  readonly hi: Tensor;
  readonly pairs: number;
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
  checkTensor('intervalAttention: q', q);
  const scale = 1 / Math.sqrt(q.shape[1] / heads);
  const attrs = { heads, kvHeads, scale, pairs: bounds.pairs };
  return apply('intervalAttention', [q, k, v, bounds.lo, bounds.hi], attrs);
}

type FusedKernel =
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
  | 'intervalAttentionBackward';

const lastAxis = { axes: -1, keepDims: true };

const INPUTS = { ins: [0, 1], outs: false };
const CHEAP = { ...INPUTS, cheap: true } as const;
const RESULT = { ins: [], outs: true };

export const networkRules: Rules<FusedKernel> = {
  softmax: reading(RESULT, (g, [y]) => {
    const gy = mul(g, y);
    return [sub(gy, mul(y, sum(gy, lastAxis)))];
  }),
  logSoftmax: reading(RESULT, (g, [y]) => [sub(g, mul(exp(y), sum(g, lastAxis)))]),
  crossEntropy: reading(INPUTS, (g, _, [logits, targets]) => [
    apply('crossEntropyBackward', [logits, targets, g], {}),
    null,
  ]),
  crossEntropyBackward: onceOnly('crossEntropy', 'logSoftmax'),
  rmsNorm: reading(CHEAP, (g, _, [x, w], attrs) => applyAll('rmsNormBackward', [x, w, g], attrs)),
  rmsNormBackward: onceOnly('rmsNorm', 'composed.rmsNorm'),
  rope: reading({ ins: [1, 2, 3], outs: false }, (g, _, [, cos, sin, positions], { headDim, inverse }, needs) => {
    if (needs[1] || needs[2]) {
      throw new Error(
        'rope: cos and sin have no gradient; they are constants: make them outside, or hand over their stopGradient',
      );
    }
    return [rope(g, { cos, sin }, positions, headDim, !inverse), null, null, null];
  }),
  swiGlu: reading(CHEAP, (g, _, [a, b]) => applyAll('swiGluBackward', [a, b, g], {})),
  swiGluBackward: onceOnly('swiGlu', 'silu and mul'),
  intervalAttention: (g, [out, lse], [q, k, v, lo, hi], attrs) => [
    ...applyAll('intervalAttentionBackward', [q, k, v, lo, hi, out, lse, g], attrs),
    null,
    null,
  ],
  intervalAttentionBackward: onceOnly('intervalAttention', 'composed.intervalAttention'),
};
