/** @file Bits per byte of held-out text. */
import { crossEntropy } from '@blt-ts/autograd';
import { release, scope, tensor } from '@blt-ts/tensor';
import { bltBatch, byteBatch } from './batch.ts';
import type { BltConfig, TransformerConfig } from './config.ts';
import { entropyModelLogits } from './entropy-model.ts';
import { bltLosses } from './model.ts';
import { NonFiniteError } from './non-finite.ts';
import type { PatchedDocument, TrainingRow } from './packing.ts';
import type { BltParams, EntropyModelParams } from './parameters.ts';
import { BYTE_OFFSET } from './vocabulary.ts';

/** A row of which only the targets from `scoredFrom` on count: the ones before are context. */
export interface EvaluationRow extends TrainingRow {
  readonly scoredFrom: number;
}

export interface Evaluation {
  /** Sum of the cross-entropies of all scored targets (specials included), nats. */
  readonly nats: number;
  /** Real bytes among the scored targets. */
  readonly bytes: number;
  /** nats / (ln 2 * bytes) */
  readonly bitsPerByte: number;
}

/**
 * Rows of up to `patchesPerRow` patches, each starting `stride` patches after the one before: every token but each document's
 * first is scored exactly once. With the default stride, half a row, each has at least half a row of context before it wherever
 * the document has that much; with a whole row it costs half, and tokens at a row's start are predicted from little.
 */
export function evaluationRows(
  documents: readonly PatchedDocument[],
  patchesPerRow: number,
  stride: number = Math.ceil(patchesPerRow / 2),
): EvaluationRow[] {
  const rows: EvaluationRow[] = [];
  for (const { ids, patchLengths } of documents) {
    const starts = [0];
    for (const length of patchLengths) starts.push(starts.at(-1)! + length);
    let scored = 1; // tokens before this one have been targets already (or are the first)
    for (let first = 0; scored < ids.length; ) {
      const last = Math.min(first + patchesPerRow, patchLengths.length);
      const begin = starts[first];
      const end = starts[last];
      const length = starts[first + 1] - begin;
      // A row's first token is a patch of its own: the model predicts its second token from it.
      const lengths = [1, ...(length > 1 ? [length - 1] : []), ...patchLengths.subarray(first + 1, last)];
      if (end - begin >= 2) {
        rows.push({
          ids: ids.slice(begin, end - 1),
          targets: ids.slice(begin + 1, end),
          patchLengths: Int32Array.from(lengths),
          scoredFrom: scored - begin - 1,
        });
        scored = end;
      }
      // At least one patch of overlap: a row's first token is read, not predicted.
      first = Math.max(first + 1, last - Math.max(1, patchesPerRow - stride));
      if (last === patchLengths.length) break;
    }
  }
  return rows;
}

/** @throws NonFiniteError if a loss was not a number */
function evaluationOf(nats: number, bytes: number): Evaluation {
  if (!Number.isFinite(nats)) {
    throw new NonFiniteError(`the loss on held-out bytes is ${nats}; the weights are broken, lower the learning rate`);
  }
  return { nats, bytes, bitsPerByte: nats / (Math.LN2 * bytes) };
}

/** Adds up the losses of the scored targets. */
function tally(losses: ArrayLike<number>, rows: readonly EvaluationRow[]): { nats: number; bytes: number } {
  let nats = 0;
  let bytes = 0;
  let at = 0;
  for (const { targets, scoredFrom } of rows) {
    for (let i = scoredFrom; i < targets.length; i++) {
      nats += losses[at + i];
      if (targets[i] >= BYTE_OFFSET) bytes++;
    }
    at += targets.length;
  }
  return { nats, bytes };
}

/** Groups rows into batches of about `batchBytes` bytes. */
function* batches<R extends { readonly ids: Int32Array }>(rows: readonly R[], batchBytes: number): Generator<R[]> {
  let group: R[] = [];
  let size = 0;
  for (const row of rows) {
    if (group.length > 0 && size + row.ids.length > batchBytes) {
      yield group;
      group = [];
      size = 0;
    }
    group.push(row);
    size += row.ids.length;
  }
  if (group.length > 0) yield group;
}

/** Bits per byte of the latent transformer on held-out rows. */
export async function evaluateBlt(
  params: BltParams,
  rows: readonly EvaluationRow[],
  config: BltConfig,
  { batchBytes = 8192 }: { batchBytes?: number } = {},
): Promise<Evaluation> {
  const backend = params.lm_head.weight.backend;
  let nats = 0;
  let bytes = 0;
  for (const group of batches(rows, batchBytes)) {
    const targets = Int32Array.from(group.flatMap((r) => [...r.targets]));
    const losses = scope(() => bltLosses(params, bltBatch(group, config, { backend }), targets, config));
    const found = tally(await losses.read(), group);
    release(losses);
    nats += found.nats;
    bytes += found.bytes;
  }
  return evaluationOf(nats, bytes);
}

/** Bits per byte of an entropy model, each document cut into its context. */
export async function evaluateEntropyModel(
  params: EntropyModelParams,
  documents: readonly Int32Array[],
  c: TransformerConfig,
  options: { window: number | null; documents: boolean; rowBytes?: number; batchBytes?: number },
): Promise<Evaluation> {
  const backend = params.lm_head.weight.backend;
  const length = options.rowBytes ?? c.maxPositionEmbeddings;
  const rows = documents.flatMap((ids) => {
    const cut: EvaluationRow[] = [];
    for (let s = 0; s + 1 < ids.length; s += length) {
      const e = Math.min(ids.length - 1, s + length);
      cut.push({
        ids: ids.slice(s, e),
        targets: ids.slice(s + 1, e + 1),
        patchLengths: new Int32Array(0),
        scoredFrom: 0,
      });
    }
    return cut;
  });
  let nats = 0;
  let bytes = 0;
  for (const group of batches(rows, options.batchBytes ?? 8192)) {
    const losses = scope(() => {
      const batch = byteBatch(
        group.map((r) => r.ids),
        c,
        { ...options, backend },
      );
      const targets = Int32Array.from(group.flatMap((r) => [...r.targets]));
      return crossEntropy(entropyModelLogits(params, batch, c), tensor(targets, undefined, { backend }));
    });
    const found = tally(await losses.read(), group);
    release(losses);
    nats += found.nats;
    bytes += found.bytes;
  }
  return evaluationOf(nats, bytes);
}
