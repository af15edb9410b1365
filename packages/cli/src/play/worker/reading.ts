/** @file A passage read by the whole model: how it is cut, who sees whom, and how surprised the model is at each byte. */
import {
  bltBatch,
  bltLosses,
  type Checkpoint,
  encode,
  layoutOptions,
  modelPatchLengths,
  natsToBits,
  type PatchedRow,
  scoreEntropies,
} from '@blt-ts/blt';
import { scope } from '@blt-ts/tensor';
import type { Reading } from '../messages.ts';

/** Ids cut into patches, with the entropies that cut them (mode `entropy`). */
export interface CutRow extends PatchedRow {
  /** [n] nats, of the prediction made at each id. */
  readonly entropies: Float32Array | null;
}

/** Cuts ids into patches as the model does. The weights must lie where values can be read at once. */
export function cutRow({ config, params, patcher }: Checkpoint, ids: Int32Array): CutRow {
  const { backend } = params.lm_head.weight;
  const entropies =
    config.patching.mode === 'entropy'
      ? scoreEntropies(patcher!, [ids], config.patcher!, { ...layoutOptions(config), backend })[0]
      : null;
  return { ids, entropies, patchLengths: modelPatchLengths(ids, entropies, config.patching) };
}

/** Reads BOS and the bytes in one pass. */
export function readPassage(checkpoint: Checkpoint, bytes: Uint8Array): Reading {
  const { config, params } = checkpoint;
  const ids = encode(bytes, { bos: true, eos: false });
  const row = cutRow(checkpoint, ids);
  const { backend } = params.lm_head.weight;
  return scope(() => {
    const batch = bltBatch([row], config, { backend });
    // The last id predicts a byte that is not there: any target will do, because its loss is not looked at.
    const targets = new Int32Array(ids.length);
    targets.set(ids.subarray(1));
    const losses = bltLosses(params, batch, targets, config).readSync() as Float32Array;
    return {
      bytes,
      entropies: row.entropies?.slice(0, bytes.length) ?? null,
      surprise: losses.slice(0, bytes.length).map(natsToBits),
      layout: batch.layout,
      hash: config.hash,
      hashIds: batch.hashIds,
    };
  });
}
