/** @file The two training loops of a run: for the entropy model rows of bytes, for the latent transformer rows of patches. */
import { crossEntropy } from '@blt-ts/autograd';
import { type Backend, type Random, tensor } from '@blt-ts/tensor';
import { HASH_TABLE } from '../checkpoints/stored-tensors.ts';
import { bltBatch, byteBatch } from '../model/batch.ts';
import { bltLosses } from '../model/blt.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { entropyModelLogits } from '../model/entropy-model.ts';
import type { BltParams, EntropyModelParams } from '../model/parameters.ts';
import { type ByteRow, EpochLoader, lazyByteRows, lazyPatchRows } from './data-loader.ts';
import { type PatchedDocument, rowLimits, type TrainingRow } from './packing.ts';
import type { RunPlan } from './run-plan.ts';
import { TrainingLoop } from './training-loop.ts';
import { concatInts } from './warm-start.ts';

const targetsOf = (rows: readonly { readonly targets: Int32Array }[]): Int32Array =>
  concatInts(rows.map((r) => r.targets));

/** Documents with the lengths of their patches. */
export const patchedDocuments = (
  documents: readonly Int32Array[],
  patchLengths: readonly Int32Array[],
): PatchedDocument[] => documents.map((ids, i) => ({ ids, patchLengths: patchLengths[i] }));

/** Trains `patcher` on rows of `rowBytes` bytes: next-byte cross-entropy. */
export function entropyModelLoop(
  plan: RunPlan,
  patcher: EntropyModelParams,
  documents: readonly Int32Array[],
  random: Random,
  backend: Backend,
): TrainingLoop<EntropyModelParams, ByteRow> {
  const { rowBytes, loop } = plan.entropyModel!;
  const c = plan.config.patcher!;
  const loader = new EpochLoader<ByteRow>(random.fork('entropy model rows'), (stream, epoch) =>
    lazyByteRows(documents, rowBytes, stream, epoch),
  );
  const options = { ...layoutOptions(plan.config), backend };
  const idsOf = (rows: readonly ByteRow[]) => rows.map((r) => r.ids);
  return new TrainingLoop(
    patcher,
    loader,
    {
      batch: (rows) => ({ targets: targetsOf(rows), batch: byteBatch(idsOf(rows), c, options) }),
      losses: (params, { targets, batch }, dropout) =>
        crossEntropy(entropyModelLogits(params, batch, c, dropout), tensor(targets, undefined, { backend })),
    },
    loop,
  );
}

/** Trains `params` on rows of patches: cross-entropy of the byte that follows each. @param config with the calibrated threshold */
export function modelLoop(
  { model, recompute }: RunPlan,
  config: BltConfig,
  params: BltParams,
  documents: readonly PatchedDocument[],
  random: Random,
  backend: Backend,
): TrainingLoop<BltParams, TrainingRow> {
  const { maxPatches, maxBytes } = rowLimits(config, model.maxRowBytes);
  const loader = new EpochLoader<TrainingRow>(random.fork('rows'), (stream, epoch) =>
    lazyPatchRows(documents, Math.min(model.patchesPerRow, maxPatches), maxBytes, stream, epoch),
  );
  return new TrainingLoop(
    params,
    loader,
    {
      batch: (rows) => ({ targets: targetsOf(rows), batch: bltBatch(rows, config, { backend, recompute }) }),
      losses: (params, { targets, batch }, dropout) => bltLosses(params, batch, targets, config, dropout),
      reads: ({ batch }) => new Map(batch.hashIds ? [[HASH_TABLE, batch.hashIds]] : []),
    },
    model.loop,
  );
}
