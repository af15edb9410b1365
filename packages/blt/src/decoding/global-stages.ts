/**
 * @file The global model's steps while decoding. Its layers may lie on several backends, for one WebAssembly memory ends at 4 GiB:
 * neighbours on the same backend make a stage with caches of its own, and only the few new rows travel between stages.
 */
import { type Backend, type Tensor, tensor } from '@blt-ts/tensor';
import { ropeTable } from '../model/batch.ts';
import { TooManyPatchesError, type TransformerConfig } from '../model/config.ts';
import type { BlockParams } from '../model/parameters.ts';
import { type CachedContext, cachedStack, type KeyValueCache, keyValueWidth } from './cached-layers.ts';
import type { TextPatch } from './model-steps.ts';
import type { TextState } from './patcher-state.ts';
import { SlotCache } from './slot-cache.ts';

interface Stage {
  readonly backend: Backend;
  readonly layers: readonly BlockParams[];
  readonly slots: SlotCache;
  readonly caches: readonly KeyValueCache[];
}

/** Positions, cache rows and intervals of finished patches. */
export interface PatchPlaces {
  readonly positions: Int32Array;
  readonly slots: Int32Array;
  readonly lo: Int32Array;
  readonly hi: Int32Array;
  /** Sum of hi - lo. */
  readonly pairs: number;
  /** One more than the largest position. */
  readonly reach: number;
}

/** The same values on another backend; the tensor itself where it is there already. */
export const onBackend = (x: Tensor, backend: Backend): Tensor =>
  x.backend === backend ? x : tensor(x.readSync(), x.shape, { backend });

export class GlobalStages {
  private readonly config: TransformerConfig;
  private readonly stages: Stage[] = [];

  constructor(layers: readonly BlockParams[], config: TransformerConfig, texts: number) {
    this.config = config;
    for (let at = 0; at < layers.length; ) {
      const backend = layers[at].input_layernorm.weight.backend;
      let end = at + 1;
      while (end < layers.length && layers[end].input_layernorm.weight.backend === backend) end++;
      const slots = new SlotCache(texts, backend);
      const caches = layers.slice(at, end).map(() => ({
        keys: slots.add(keyValueWidth(config)),
        values: slots.add(keyValueWidth(config)),
      }));
      this.stages.push({ backend, layers: layers.slice(at, end), slots, caches });
      at = end;
    }
  }

  /** Whether all layers lie on one backend. */
  areOn(backend: Backend): boolean {
    return this.stages.every((stage) => stage.backend === backend);
  }

  /** Counts how often cache tensors have been replaced. */
  get generation(): number {
    return this.stages.reduce((n, { slots }) => n + slots.generation, 0);
  }

  /**
   * Where finished patches stand. Every stage numbers its cache rows alike.
   * @param ends patches of each text with these   @param states of the texts before these patches
   * @throws TooManyPatchesError if a text gets more patches than the model takes
   */
  place(finished: readonly TextPatch[], ends: readonly number[], states: readonly TextState[]): PatchPlaces {
    const { maxPositionEmbeddings } = this.config;
    const reach = ends.reduce((a, b) => Math.max(a, b), 0);
    if (reach > maxPositionEmbeddings) {
      throw new TooManyPatchesError(
        `decoding: a text would have ${reach} patches, the model takes ${maxPositionEmbeddings}; begin anew with its last part`,
        ends.flatMap((end, text) => (end > maxPositionEmbeddings ? [text] : [])),
      );
    }
    for (const { slots } of this.stages) {
      slots.reserve(
        ends,
        states.map((s) => s.patchDocumentStart),
        states.map((s) => s.patches),
      );
    }
    const [{ slots }] = this.stages;
    const rows = Int32Array.from(finished, ({ text, patch }) => slots.slot(text, patch.index));
    const lo = Int32Array.from(finished, ({ text, patch }) => slots.slot(text, patch.firstSeen));
    const hi = rows.map((row) => row + 1);
    return {
      positions: Int32Array.from(finished, ({ patch }) => patch.index),
      slots: rows,
      lo,
      hi,
      pairs: hi.reduce((n, end, f) => n + end - lo[f], 0),
      reach,
    };
  }

  /** One step for each finished patch: x [F, C] -> [F, C]. */
  step(x: Tensor, at: CachedContext): Tensor {
    const { config: c } = this;
    const headDim = c.hiddenSize / c.numAttentionHeads;
    let h = x;
    for (const { backend, layers, caches } of this.stages) {
      const here = (t: Tensor) => onBackend(t, backend);
      const { positions, slots, bounds, rope } = at;
      const context = {
        positions: here(positions),
        slots: here(slots),
        bounds: { ...bounds, lo: here(bounds.lo), hi: here(bounds.hi) },
        rope: backend === x.backend ? rope : ropeTable(backend, c.ropeTheta, headDim, rope.cos.shape[0]),
      };
      h = cachedStack(layers, here(h), context, c, caches);
    }
    return onBackend(h, x.backend);
  }

  release(): void {
    for (const { slots } of this.stages) slots.release();
  }
}
