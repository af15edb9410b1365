/** @file The layers all four stacks share: pure functions of parameters, states and the batch's intervals. */
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
import { donating, scope, type Tensor } from '@blt-ts/tensor';
import type { StackContext } from './batch.ts';
import type { TransformerConfig } from './config.ts';
import type { Dropout } from './dropout.ts';
import type { AttentionParams, BlockParams, CrossAttentionParams, FeedForwardParams } from './parameters.ts';

/**
 * Queries rope(Wq x), keys rope(Wk x) and values Wv x. x [n, C] (normalised) -> [n, heads * D], [n, kvHeads * D] twice.
 */
export function queriesKeysValues(
  p: AttentionParams,
  x: Tensor,
  at: Pick<StackContext, 'rope' | 'positions'>,
  c: TransformerConfig,
): [Tensor, Tensor, Tensor] {
  const rotated = (weight: Tensor) =>
    scope(() => {
      const y = linear(x, weight);
      return donating([y], () => rope(y, at.rope, at.positions, c.hiddenSize / c.numAttentionHeads));
    });
  return [rotated(p.q_proj.weight), rotated(p.k_proj.weight), linear(x, p.v_proj.weight)];
}

function attend(
  p: Pick<AttentionParams, 'o_proj'>,
  [q, k, v]: readonly [Tensor, Tensor, Tensor],
  bounds: IntervalBounds,
  c: TransformerConfig,
): Tensor {
  return linear(intervalAttention(q, k, v, bounds, c.numAttentionHeads, c.numKeyValueHeads), p.o_proj.weight);
}

/**
 * Self-attention with rotary positions: Wo attention(rope(Wq x), rope(Wk x), Wv x), each row seeing its interval.
 * @param x [n, C] (normalised)   @returns [n, C]
 */
export function selfAttention(p: AttentionParams, x: Tensor, at: StackContext, c: TransformerConfig): Tensor {
  return attend(p, queriesKeysValues(p, x, at, c), at.bounds, c);
}

/** SwiGLU feed-forward layer: Wdown (silu(Wgate x) * Wup x). x [n, C] -> [n, C]. Shazeer 2020, eq. 6. */
export function feedForward(p: FeedForwardParams, x: Tensor, dropout?: Dropout): Tensor {
  return scope(() => {
    const hidden = swiGlu(linear(x, p.gate_proj.weight), linear(x, p.up_proj.weight));
    return linear(dropout?.hidden(hidden) ?? hidden, p.down_proj.weight);
  });
}

/** `block`, or if asked for the same without keeping its activations for the backward pass. */
function maybeRecomputed(at: StackContext, dropout: Dropout | undefined, block: () => Tensor): Tensor {
  if (!at.recompute) return block();
  const mark = dropout?.mark();
  return recompute(() => (dropout && mark ? dropout.replay(mark, block) : block()));
}

/** Pre-norm transformer block: h = x + attention(norm(x)); h + feedForward(norm(h)). x [n, C] -> [n, C]. */
export function transformerBlock(
  p: BlockParams,
  x: Tensor,
  at: StackContext,
  c: TransformerConfig,
  dropout?: Dropout,
): Tensor {
  return maybeRecomputed(at, dropout, () => block(p, x, at, c, dropout));
}

function block(
  p: BlockParams,
  x: Tensor,
  at: StackContext,
  c: TransformerConfig,
  dropout: Dropout | undefined,
): Tensor {
  const drop = (y: Tensor) => dropout?.residual(y) ?? y;
  // The scopes free what is read no more: without a tape everything inside, with one what no rule reads.
  const h = scope(() => {
    const qkv = scope(() => queriesKeysValues(p.self_attn, rmsNorm(x, p.input_layernorm.weight, c.rmsNormEps), at, c));
    return add(x, drop(attend(p.self_attn, qkv, at.bounds, c)));
  });
  return scope(() =>
    add(h, drop(feedForward(p.mlp, rmsNorm(h, p.post_attention_layernorm.weight, c.rmsNormEps), dropout))),
  );
}

/** The blocks one after the other. */
export function transformerStack(
  layers: readonly BlockParams[],
  x: Tensor,
  at: StackContext,
  c: TransformerConfig,
  dropout?: Dropout,
): Tensor {
  return layers.reduce((h, layer) => transformerBlock(layer, h, at, c, dropout), x);
}

/** Keys Wk norm(kv) and values Wv norm(kv) of a cross-attention. kv [m, C] */
export function crossKeysAndValues(p: CrossAttentionParams, kv: Tensor, c: TransformerConfig): [Tensor, Tensor] {
  const seen = rmsNorm(kv, p.k_norm.weight, c.rmsNormEps);
  return [linear(seen, p.k_proj.weight), linear(seen, p.v_proj.weight)];
}

/** `crossAttention` with keys and values at hand: 2 x + Wo attention(Wq norm(x), keys, values). */
export function crossAttend(
  p: CrossAttentionParams,
  x: Tensor,
  [keys, values]: readonly [Tensor, Tensor],
  bounds: IntervalBounds,
  c: TransformerConfig,
  dropout?: Dropout,
): Tensor {
  const q = scope(() => linear(rmsNorm(x, p.q_norm.weight, c.rmsNormEps), p.q_proj.weight));
  const out = attend(p, [q, keys, values], bounds, c);
  return add(add(x, x), dropout?.residual(out) ?? out);
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
  return scope(() =>
    crossAttend(
      p,
      x,
      scope(() => crossKeysAndValues(p, kv, c)),
      bounds,
      c,
      dropout,
    ),
  );
}
