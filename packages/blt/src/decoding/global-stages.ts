/**
 * @file The global model's steps while decoding. Its layers may lie on several backends, for one WebAssembly memory ends at 4 GiB:
 * neighbours on the same backend make a stage with caches of its own, and only the few new rows travel between stages.
 */
import { type Backend, type Tensor, tensor } from '@blt-ts/tensor';
import { ropeTable } from '../batch.ts';
import { ConfigError, type TransformerConfig } from '../config.ts';
import type { BlockParams } from '../parameters.ts';
import { cachedStack, type KeyValueCache, keyValueWidth } from './cached-layers.ts';
import { ints, SlotCache } from './slot-cache.ts';
import type { FinishedPatch, TextState } from './text-state.ts';

interface Stage {
  readonly backend: Backend;
  readonly layers: readonly BlockParams[];
  readonly slots: SlotCache;
  readonly caches: readonly KeyValueCache[];
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

  /**
   * One step for each finished patch: x [F, C] -> [F, C].
   * @param states of the texts before these patches
   * @throws ConfigError if a text gets more patches than the model takes
   */
  step(x: Tensor, finished: readonly { text: number; patch: FinishedPatch }[], states: readonly TextState[]): Tensor {
    const { config: c } = this;
    const ends = states.map((s) => s.patches);
    for (const { text, patch } of finished) ends[text] = patch.index + 1;
    const reach = Math.max(...ends);
    if (reach > c.maxPositionEmbeddings) {
      throw new ConfigError(
        `decoding: a text would have ${reach} patches, the model takes ${c.maxPositionEmbeddings}; begin anew with its last part`,
      );
    }
    const positions = Int32Array.from(finished, ({ patch }) => patch.index);
    let h = x;
    for (const { backend, layers, slots, caches } of this.stages) {
      slots.reserve(
        ends,
        states.map((s) => s.patchDocumentStart),
        states.map((s) => s.patches),
      );
      const rows = Int32Array.from(finished, ({ text, patch }) => slots.slot(text, patch.index));
      const lo = Int32Array.from(finished, ({ text, patch }) => slots.slot(text, patch.firstSeen));
      const hi = rows.map((row) => row + 1);
      const context = {
        positions: ints(positions, backend),
        slots: ints(rows, backend),
        bounds: {
          lo: ints(lo, backend),
          hi: ints(hi, backend),
          pairs: hi.reduce((n, end, f) => n + end - lo[f], 0),
        },
        rope: ropeTable(backend, c.ropeTheta, c.hiddenSize / c.numAttentionHeads, reach),
      };
      h = cachedStack(layers, onBackend(h, backend), context, c, caches);
    }
    return onBackend(h, x.backend);
  }

  release(): void {
    for (const { slots } of this.stages) slots.release();
  }
}
