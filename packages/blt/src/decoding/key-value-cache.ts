/** @file Keys and values of earlier positions, for the layers of layers.ts. */
import type { Tensor } from '@blt-ts/tensor';
import { keyValueWidth, type TransformerConfig } from '../model/config.ts';
import type { AttentionCache, KeysAndValues } from '../model/layers.ts';
import { type Cache, type SlotCache, writeRows } from './slot-cache.ts';

/** Keys and values of one attention, in rows of a `SlotCache`. */
export class KeyValueCache {
  private readonly keys: Cache;
  private readonly values: Cache;

  constructor(c: TransformerConfig, slots: SlotCache) {
    this.keys = slots.add(keyValueWidth(c));
    this.values = slots.add(keyValueWidth(c));
  }

  /** Keys and values of all positions: [sequences * capacity, kvHeads * D] each. */
  get all(): KeysAndValues {
    return [this.keys.tensor, this.values.tensor];
  }

  /** Writes those of new positions into the rows `slots` [n]. */
  write(slots: Tensor, [keys, values]: KeysAndValues): void {
    writeRows(this.keys, slots, keys);
    writeRows(this.values, slots, values);
  }

  /** The cache as an attention layer sees it whose new positions lie in the rows `slots`. */
  at(slots: Tensor): AttentionCache {
    return {
      update: (keys, values) => {
        this.write(slots, [keys, values]);
        return this.all;
      },
    };
  }
}

/** One cache for each block of a stack, or for each of `count` layers of it. */
export const stackCaches = (c: TransformerConfig, slots: SlotCache, count = c.numHiddenLayers): KeyValueCache[] =>
  Array.from({ length: count }, () => new KeyValueCache(c, slots));

/** The caches of a stack whose new positions lie in the rows `slots`. */
export const cachesAt = (caches: readonly KeyValueCache[], slots: Tensor): AttentionCache[] =>
  caches.map((cache) => cache.at(slots));
