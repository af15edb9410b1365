/**
 * @file The global model's steps while decoding. Its layers may lie on several backends, because one WebAssembly memory ends at 4 GiB.
 * Neighbouring layers on the same backend make a stage with caches of its own, and only the few new rows travel between stages.
 */

import { ropeTable } from '@blt-ts/autograd';
import { type Backend, type Tensor, tensor } from '@blt-ts/tensor';
import { TooManyPatchesError } from '../errors.ts';
import type { StackContext } from '../model/batch.ts';
import type { TransformerConfig } from '../model/config.ts';
import { transformerStack } from '../model/layers.ts';
import type { BlockParams } from '../model/parameters.ts';
import { cachesAt, type KeyValueCache, stackCaches } from './key-value-cache.ts';
import type { PatcherState, SequencePatch } from './patcher-state.ts';
import type { Placement } from './placement.ts';
import { SlotCache } from './slot-cache.ts';

interface Stage {
  readonly backend: Backend;
  readonly layers: readonly BlockParams[];
  readonly slots: SlotCache;
  readonly caches: readonly KeyValueCache[];
}

/** Place of finished patches; every stage numbers its cache rows alike. */
export interface PatchPlacement extends Placement {
  /** [F] cache rows of the patches. */
  readonly slots: Int32Array;
}

/** The same values on a backend: the tensor itself if it is there already, else a copy. */
export const onBackend = (x: Tensor, backend: Backend): Tensor =>
  x.backend === backend ? x : tensor(x.readSync(), x.shape, { backend });

/** The stages of a global model, each a run of its layers on one backend. */
export class GlobalStages {
  private readonly config: TransformerConfig;
  private readonly stages: Stage[] = [];

  constructor(layers: readonly BlockParams[], config: TransformerConfig, sequences: number) {
    this.config = config;
    for (let at = 0; at < layers.length; ) {
      const backend = layers[at].input_layernorm.weight.backend;
      let end = at + 1;
      while (end < layers.length && layers[end].input_layernorm.weight.backend === backend) end++;
      const slots = new SlotCache(sequences, backend);
      const caches = stackCaches(config, slots, end - at);
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
   * The place of finished patches.
   * @param ends patches of each sequence with these   @param states of the sequences before these patches
   * @throws TooManyPatchesError if a sequence gets more patches than the model takes
   */
  place(finished: readonly SequencePatch[], ends: readonly number[], states: readonly PatcherState[]): PatchPlacement {
    const { maxPositionEmbeddings } = this.config;
    const positionCount = ends.reduce((a, b) => Math.max(a, b), 0);
    if (positionCount > maxPositionEmbeddings) {
      throw new TooManyPatchesError(
        `decoding: a text would have ${positionCount} patches, the model takes ${maxPositionEmbeddings}; begin anew with its last part`,
        ends.flatMap((end, sequence) => (end > maxPositionEmbeddings ? [sequence] : [])),
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
    const rows = Int32Array.from(finished, ({ sequence, patch }) => slots.slot(sequence, patch.index));
    const lo = Int32Array.from(finished, ({ sequence, patch }) => slots.slot(sequence, patch.firstSeen));
    const hi = rows.map((row) => row + 1);
    return {
      positions: Int32Array.from(finished, ({ patch }) => patch.index),
      slots: rows,
      lo,
      hi,
      pairs: hi.reduce((n, end, f) => n + end - lo[f], 0),
      positionCount,
    };
  }

  /** One step for each finished patch, whose cache rows are `slots`: x [F, C] -> [F, C]. */
  step(x: Tensor, { positions, bounds, rope }: StackContext, slots: Tensor): Tensor {
    const { config: c } = this;
    const headDim = c.hiddenSize / c.numAttentionHeads;
    let h = x;
    for (const { backend, layers, caches } of this.stages) {
      const here = (t: Tensor) => onBackend(t, backend);
      const context = {
        positions: here(positions),
        bounds: { ...bounds, lo: here(bounds.lo), hi: here(bounds.hi) },
        rope: backend === x.backend ? rope : ropeTable(backend, c.ropeTheta, headDim, rope.cos.shape[0]),
      };
      h = transformerStack(layers, here(h), context, c, undefined, cachesAt(caches, here(slots)));
    }
    return onBackend(h, x.backend);
  }

  /** Forgets the patches of one sequence. */
  restart(sequence: number): void {
    for (const { slots } of this.stages) slots.restart(sequence);
  }

  release(): void {
    for (const { slots } of this.stages) slots.release();
  }
}
