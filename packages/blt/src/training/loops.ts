/** @file The two training loops of a run: for the entropy model rows of bytes, for the latent transformer rows of patches. */
import type { Backend, Random } from '@blt-ts/tensor';
import type { BltConfig } from '../model/config.ts';
import type { BltParams, EntropyModelParams } from '../model/parameters.ts';
import { type ByteRow, EpochLoader, lazyByteRows, lazyPatchRows, type RowLoader } from './data-loader.ts';
import type { EvaluatedDocument } from './evaluation-rows.ts';
import { LeaveOneOut } from './leave-one-out.ts';
import { MixtureLoader } from './mixture-loader.ts';
import { type PatchedDocument, type Rows, rowLimits, type TrainingRow } from './packing.ts';
import type { MarkedCorpus, RunPlan } from './run-plan.ts';
import { entropyModelTask, modelTask } from './tasks.ts';
import { TrainingLoop } from './training-loop.ts';

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
  const rows = random.fork('entropy model rows');
  const loader = loaderOf<Int32Array, ByteRow>(plan, train, sources?.train, rows, (documents, stream, epoch) =>
    lazyByteRows(documents, rowBytes, stream, epoch),
  );
  return new TrainingLoop(patcher, loader, entropyModelTask(plan.config, backend), loop);
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
  const hiding = plan.leaveOneOut ? new LeaveOneOut(corpus.train, config.hash.groupSizes, plan.hidingRate) : null;
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
  return new TrainingLoop(params, loader, modelTask(config, recompute, backend), model.loop);
}
