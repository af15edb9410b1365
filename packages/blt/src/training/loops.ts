/** @file The two training loops of a run: for the entropy model rows of bytes, for the latent transformer rows of patches. */
import { crossEntropy } from '@blt-ts/autograd';
import { type Backend, type Random, tensor } from '@blt-ts/tensor';
import { HASH_TABLE } from '../checkpoints/stored-tensors.ts';
import { bltBatch, byteBatch } from '../model/batch.ts';
import { bltLosses } from '../model/blt.ts';
import { type BltConfig, layoutOptions } from '../model/config.ts';
import { entropyModelLogits } from '../model/entropy-model.ts';
import type { BltParams, EntropyModelParams } from '../model/parameters.ts';
import { type ByteRow, EpochLoader, lazyByteRows, lazyPatchRows, type RowLoader } from './data-loader.ts';
import type { EvaluatedDocument } from './evaluation-rows.ts';
import { LeaveOneOut } from './leave-one-out.ts';
import { MixtureLoader } from './mixture-loader.ts';
import { type PatchedDocument, type Rows, rowLimits, type TrainingRow } from './packing.ts';
import type { MarkedCorpus, RunPlan } from './run-plan.ts';
import { TrainingLoop } from './training-loop.ts';
import { concatInts } from './warm-start.ts';

const targetsOf = (rows: readonly { readonly targets: Int32Array }[]): Int32Array =>
  concatInts(rows.map((r) => r.targets));

/** The documents of one part of a corpus, with the lengths of their patches, what counts in them, and their sources. */
export const patchedDocuments = (
  corpus: MarkedCorpus,
  part: 'train' | 'heldOut',
  patchLengths: readonly Int32Array[],
): EvaluatedDocument[] =>
  corpus[part].map((ids, i) => ({
    ids,
    patchLengths: patchLengths[i],
    counted: corpus.counted?.[part][i] ?? undefined,
    source: corpus.sources?.[part][i],
  }));

/**
 * Rows of all documents, or of each source in its share.
 * @param sources the source of each document   @throws RangeError naming a source of the mixture that has no document
 */
function loaderOf<D, Row>(
  { mixture }: Pick<RunPlan, 'mixture'>,
  documents: readonly D[],
  sources: readonly number[] | undefined,
  random: Random,
  rowsOf: (documents: readonly D[], random: Random, epoch: number) => Rows<Row>,
): RowLoader<Row> {
  if (!mixture) return new EpochLoader<Row>(random, (stream, epoch) => rowsOf(documents, stream, epoch));
  const loaders = mixture.map((_, s) => {
    const own = documents.filter((__, i) => sources?.[i] === s);
    if (own.length === 0) throw new RangeError(`source ${s} of the mixture has no training document`);
    return new EpochLoader<Row>(random.fork(`source ${s}`), (stream, epoch) => rowsOf(own, stream, epoch));
  });
  return new MixtureLoader(loaders, mixture);
}

/** Trains `patcher` on rows of `rowBytes` bytes: next-byte cross-entropy. */
export function entropyModelLoop(
  plan: RunPlan,
  patcher: EntropyModelParams,
  { train, sources }: MarkedCorpus,
  random: Random,
  backend: Backend,
): TrainingLoop<EntropyModelParams, ByteRow> {
  const { rowBytes, loop } = plan.entropyModel!;
  const c = plan.config.patcher!;
  const rows = random.fork('entropy model rows');
  const loader = loaderOf<Int32Array, ByteRow>(plan, train, sources?.train, rows, (documents, stream, epoch) =>
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

/**
 * Trains `params` on rows of patches: cross-entropy of the byte that follows each.
 * @param config with the calibrated threshold   @param patchLengths of every training document
 */
export function modelLoop(
  plan: RunPlan,
  config: BltConfig,
  params: BltParams,
  corpus: MarkedCorpus,
  patchLengths: readonly Int32Array[],
  random: Random,
  backend: Backend,
): TrainingLoop<BltParams, TrainingRow> {
  const { model, recompute } = plan;
  const { maxPatches, maxBytes } = rowLimits(config, model.maxRowBytes);
  const perRow = Math.min(model.patchesPerRow, maxPatches);
  const documents = patchedDocuments(corpus, 'train', patchLengths);
  const hiding = plan.leaveOneOut ? new LeaveOneOut(corpus.train, config.hash.groupSizes) : null;
  const loader = loaderOf<PatchedDocument, TrainingRow>(
    plan,
    documents,
    corpus.sources?.train,
    random.fork('rows'),
    (own, stream, epoch) => {
      const rows = lazyPatchRows(own, perRow, maxBytes, stream, epoch);
      return hiding && epoch > 0 ? hiding.rows(rows, stream) : rows;
    },
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
