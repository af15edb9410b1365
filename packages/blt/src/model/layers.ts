/** @file The layers that all four stacks share: pure functions of parameters, states and the batch's intervals. */
import {
  add,
  type IntervalBounds,
  intervalAttention,
  linear,
  recompute,
  rmsNorm,
  rope,
  swiGlu,
} from '@blt-ts/autograd';
import { scope, type Tensor } from '@blt-ts/tensor';
import type { StackContext } from './batch.ts';
import type { TransformerConfig } from './config.ts';
import type { Dropout } from './dropout.ts';
import { consume, readForTheLastTime } from './memory.ts';
import type { AttentionParams, BlockParams, CrossAttentionParams, FeedForwardParams } from './parameters.ts';

/** Keys [m, kvHeads * D] and values [m, kvHeads * D] of an attention. */
export type KeysAndValues = readonly [keys: Tensor, values: Tensor];

/** Keys and values of earlier positions, while decoding. */
export interface AttentionCache {
  /** Adds those of the new positions, and returns all there are: the rows that the attention's intervals count. */
  update(keys: Tensor, values: Tensor): KeysAndValues;
}

/** Softmax attention of each query over its interval of keys, then the output projection. q [n, C] -> [n, C] */
function attend(
  p: Pick<AttentionParams, 'o_proj'>,
  q: Tensor,
  [keys, values]: KeysAndValues,
  bounds: IntervalBounds,
  c: TransformerConfig,
): Tensor {
  return linear(intervalAttention(q, keys, values, bounds, c.numAttentionHeads, c.numKeyValueHeads), p.o_proj.weight);
}

/**
 * Self-attention with rotary positions: Wo attention(rope(Wq x), rope(Wk x), Wv x), each row seeing its interval.
 * @param x [n, C] (normalised)   @param cache while decoding: keys and values of the positions before   @returns [n, C]
 */
export function selfAttention(
  p: AttentionParams,
  x: Tensor,
  at: StackContext,
  c: TransformerConfig,
  cache?: AttentionCache,
): Tensor {
  const rotated = (y: Tensor) => consume(y, () => rope(y, at.rope, at.positions, c.hiddenSize / c.numAttentionHeads));
  const q = rotated(linear(x, p.q_proj.weight)); // [n, heads * D]
  const keys = rotated(linear(x, p.k_proj.weight)); // [n, kvHeads * D]
  const values = linear(x, p.v_proj.weight); // [n, kvHeads * D]
  readForTheLastTime(x);
  return attend(p, q, cache?.update(keys, values) ?? [keys, values], at.bounds, c);
}

/** SwiGLU feed-forward layer: Wdown (silu(Wgate x) * Wup x). x [n, C] -> [n, C]. Shazeer 2020, eq. 6. */
export function feedForward(p: FeedForwardParams, x: Tensor, dropout?: Dropout): Tensor {
  return scope(() => {
    const hidden = swiGlu(linear(x, p.gate_proj.weight), linear(x, p.up_proj.weight));
    return linear(dropout?.hidden(hidden) ?? hidden, p.down_proj.weight);
  });
}

/**
 * Pre-norm transformer block: h = x + attention(norm(x)), result h + feedForward(norm(h)). The same block trains and decodes.
 * @param x [n, C]   @param cache while decoding, see `selfAttention`   @returns [n, C]
 */
export function transformerBlock(
  p: BlockParams,
  x: Tensor,
  at: StackContext,
  c: TransformerConfig,
  dropout?: Dropout,
  cache?: AttentionCache,
): Tensor {
  return maybeRecomputed(at, dropout, () => {
    const drop = (y: Tensor) => dropout?.residual(y) ?? y;
    const norm = (y: Tensor, { weight }: BlockParams['input_layernorm']) => rmsNorm(y, weight, c.rmsNormEps);
    const attended = () =>
      consume(norm(x, p.input_layernorm), (normed) => selfAttention(p.self_attn, normed, at, c, cache));
    const h = scope(() => add(x, drop(attended())));
    return scope(() => add(h, drop(feedForward(p.mlp, norm(h, p.post_attention_layernorm), dropout))));
  });
}

/** block(), whose activations are computed again in the backward pass instead of kept, if `at.recompute` is set. */
function maybeRecomputed(at: StackContext, dropout: Dropout | undefined, block: () => Tensor): Tensor {
  if (!at.recompute) return block();
  const mark = dropout?.mark();
  return recompute(() => (dropout && mark ? dropout.replay(mark, block) : block()));
}

/** The blocks one after the other. x [n, C] -> [n, C] @param caches while decoding: one for each block */
export function transformerStack(
  layers: readonly BlockParams[],
  x: Tensor,
  at: StackContext,
  c: TransformerConfig,
  dropout?: Dropout,
  caches?: readonly AttentionCache[],
): Tensor {
  return layers.reduce((h, layer, i) => transformerBlock(layer, h, at, c, dropout, caches?.[i]), x);
}

/** Keys Wk norm(kv) and values Wv norm(kv) of a cross-attention. kv [m, C] */
export function crossKeysAndValues(p: CrossAttentionParams, kv: Tensor, c: TransformerConfig): KeysAndValues {
  return scope(() => {
    const seen = rmsNorm(kv, p.k_norm.weight, c.rmsNormEps);
    return [linear(seen, p.k_proj.weight), linear(seen, p.v_proj.weight)];
  });
}

/**
 * Cross-attention with keys and values at hand: 2 x + Wo attention(Wq norm(x), keys, values). x [n, C] -> [n, C]
 * @see crossAttention
 */
export function crossAttend(
  p: CrossAttentionParams,
  x: Tensor,
  keysAndValues: KeysAndValues,
  bounds: IntervalBounds,
  c: TransformerConfig,
  dropout?: Dropout,
): Tensor {
  return scope(() => {
    const q = scope(() => linear(rmsNorm(x, p.q_norm.weight, c.rmsNormEps), p.q_proj.weight));
    const out = attend(p, q, keysAndValues, bounds, c);
    return add(add(x, x), dropout?.residual(out) ?? out);
  });
}

/**
 * Cross-attention as the released weights expect it: 2 x + Wo attention(Wq norm(x), Wk norm(kv), Wv norm(kv)), no positions.
 * Trap: the residual is added twice (the reference's module adds it, and so does its caller); the paper's equations show one.
 * @param x [n, C] queries   @param kv [m, C]   @returns [n, C]
 * @see Pagnoni et al. 2024, eq. 5-8
 */
export function crossAttention(
  p: CrossAttentionParams,
  x: Tensor,
  kv: Tensor,
  bounds: IntervalBounds,
  c: TransformerConfig,
  dropout?: Dropout,
): Tensor {
  return scope(() => crossAttend(p, x, crossKeysAndValues(p, kv, c), bounds, c, dropout));
}
