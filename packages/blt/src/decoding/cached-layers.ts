/** @file The layers of layers.ts where the keys and values of earlier positions come from a cache. */
import { add, intervalAttention, linear, rmsNorm } from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';
import type { StackContext } from '../model/batch.ts';
import type { TransformerConfig } from '../model/config.ts';
import { feedForward, queriesKeysValues } from '../model/layers.ts';
import type { BlockParams } from '../model/parameters.ts';
import { type Cache, type SlotCache, writeRows } from './slot-cache.ts';

/** Keys and values of one attention. */
export interface KeyValueCache {
  readonly keys: Cache;
  readonly values: Cache;
}

/** Where new rows stand: intervals are over the rows of the caches, `slots` [n] are the cache rows of the new positions. */
export interface CachedContext extends Pick<StackContext, 'bounds' | 'positions' | 'rope'> {
  readonly slots: Tensor;
}

export const keyValueWidth = (c: TransformerConfig): number =>
  (c.hiddenSize / c.numAttentionHeads) * c.numKeyValueHeads;

/** Caches for every block of a stack. */
export const stackCaches = (c: TransformerConfig, slots: SlotCache): KeyValueCache[] =>
  Array.from({ length: c.numHiddenLayers }, () => ({
    keys: slots.add(keyValueWidth(c)),
    values: slots.add(keyValueWidth(c)),
  }));

/** `transformerBlock` for new rows x [n, C]: their keys and values join the cache, then they look into it. */
export function cachedBlock(
  p: BlockParams,
  x: Tensor,
  at: CachedContext,
  c: TransformerConfig,
  cache: KeyValueCache,
): Tensor {
  const { self_attn } = p;
  const normed = rmsNorm(x, p.input_layernorm.weight, c.rmsNormEps);
  const [q, k, v] = queriesKeysValues(self_attn, normed, at, c);
  writeRows(cache.keys, at.slots, k);
  writeRows(cache.values, at.slots, v);
  const { keys, values } = cache;
  const y = intervalAttention(q, keys.tensor, values.tensor, at.bounds, c.numAttentionHeads, c.numKeyValueHeads);
  const h = add(x, linear(y, self_attn.o_proj.weight));
  return add(h, feedForward(p.mlp, rmsNorm(h, p.post_attention_layernorm.weight, c.rmsNormEps)));
}

/** The blocks one after the other. */
export const cachedStack = (
  layers: readonly BlockParams[],
  x: Tensor,
  at: CachedContext,
  c: TransformerConfig,
  caches: readonly KeyValueCache[],
): Tensor => layers.reduce((h, layer, i) => cachedBlock(layer, h, at, c, caches[i]), x);
