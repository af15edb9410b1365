/** @file The cost of each byte of a text under a model, in bits: for finding odd lines, sorting a corpus, naming a source. */
import { release, scope } from '@blt-ts/tensor';
import { NonFiniteError } from '../errors.ts';
import type { MixedLosses } from '../memory/memory-mixture.ts';
import { bltBatch } from '../model/batch.ts';
import { bltLogits, bltLosses } from '../model/blt.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type BltConfig, layoutOptions, longestText } from '../model/config.ts';
import { scoreEntropiesAsync } from '../model/entropy-model.ts';
import { patchLengths } from '../patching/boundaries.ts';
import { meanPatchSize } from '../patching/calibrate.ts';
import { BOS, BYTE_OFFSET, encode } from '../patching/vocabulary.ts';
import { batches } from './evaluation.ts';
import { type EvaluationRow, evaluationRows, scoredIds } from './evaluation-rows.ts';
import { natsToBits } from './metrics.ts';
import { rowLimits } from './packing.ts';

/** A text under a model. */
export interface ScoredText {
  /** [bytes] -log2 p(byte | the bytes before it), bits. */
  readonly bits: Float32Array;
  /** [patches] bytes of each patch, sum bytes. */
  readonly patchLengths: Int32Array;
  /** [bytes] nats: the entropy of the prediction of each byte by the entropy model; null for a model without one. */
  readonly entropies: Float32Array | null;
}

/** How texts are scored. */
export interface ScoreOptions {
  /** Bytes read before each text and not scored, e.g. a line break before a line (default: none). */
  readonly before?: Uint8Array;
  /** Bytes of a row, in which a text is read (default 512, or all that the model takes if that is less). */
  readonly rowBytes?: number;
  /** Ids computed at once (default 8192): more take more memory. */
  readonly batchBytes?: number;
  /** Awaited after each batch of the entropy model and before each of the model, e.g. to let other work go on. What it throws ends the scoring. */
  readonly pause?: () => Promise<void>;
  /**
   * Mixed into every prediction (default: the model alone). It reads the texts in their order and learns from each byte, so the bits of a
   * text depend on the texts before it.
   */
  readonly memory?: MixedLosses;
}

/** Bits of all bytes together, summed in float64. */
export const totalBits = ({ bits }: Pick<ScoredText, 'bits'>): number => bits.reduce((sum, bit) => sum + bit, 0);

/**
 * Scores texts one by one, apart from each other: each begins anew after a BOS, and its end is not predicted. Texts longer than a row are
 * read in rows that overlap by half, so that each byte has at least half a row of context where the text has that much.
 *
 * The rows of a text depend on it alone, whatever texts are scored with it, and without a memory so do its bits.
 * @returns one result for each text, in their order
 * @throws NonFiniteError if a loss is not a number, because the weights are broken; RangeError if rowBytes is below 2 or more than the
 *   model takes
 */
export async function scoreTexts(
  { params, patcher, config }: Checkpoint,
  texts: readonly Uint8Array[],
  { before = new Uint8Array(0), rowBytes, batchBytes, pause, memory }: ScoreOptions = {},
): Promise<ScoredText[]> {
  const longest = longestText(config);
  const size = rowBytes ?? Math.min(512, longest);
  if (!(Number.isInteger(size) && size >= 2 && size <= longest)) {
    throw new RangeError(`scoreTexts: rowBytes must be 2 to ${longest}, what the model takes at once; got ${rowBytes}`);
  }
  const backend = params.lm_head.weight.backend;
  const prefix = 1 + before.length;
  const documents = texts.map((text) => withPrefix(text, before));
  const entropies =
    patcher && config.patcher
      ? await scoreEntropiesAsync(patcher, documents, config.patcher, {
          ...layoutOptions(config),
          backend,
          batchBytes,
          pause,
        })
      : null;
  const lengths = documents.map((ids, i) =>
    patchLengths(ids, entropies?.[i] ?? null, config.patching, { includeNextToken: false }),
  );
  const rows = documents.flatMap((ids, i) => {
    let left = before.length;
    return rowsOf(ids, lengths[i], config, size).map((row): TextRow => {
      const learnedFrom = Math.min(row.targets.length, row.scoredFrom + left);
      left -= learnedFrom - row.scoredFrom;
      return { ...row, text: i, learnedFrom };
    });
  });
  const scored = await scoreRows({ params, config }, documents, rows, { batchBytes, pause, memory });
  return texts.map((_, i) => ({
    bits: scored[i].subarray(prefix - 1),
    patchLengths: withoutFirst(lengths[i], prefix),
    // Entropy j was made after token j, about token j + 1.
    entropies: entropies?.[i].subarray(prefix - 1, documents[i].length - 1) ?? null,
  }));
}

interface TextRow extends EvaluationRow {
  /** Index of the text. */
  readonly text: number;
  /** The targets before are no part of the text, or were scored in an earlier row. */
  readonly learnedFrom: number;
}

/** BOS, the bytes before, the text. */
function withPrefix(text: Uint8Array, before: Uint8Array): Int32Array {
  if (before.length === 0) return encode(text);
  const ids = new Int32Array(1 + before.length + text.length);
  ids[0] = BOS;
  for (let i = 0; i < before.length; i++) ids[1 + i] = before[i] + BYTE_OFFSET;
  for (let i = 0; i < text.length; i++) ids[1 + before.length + i] = text[i] + BYTE_OFFSET;
  return ids;
}

/** So many patches a row that it has about `size` ids, and never more than twice as many. */
function rowsOf(ids: Int32Array, lengths: Int32Array, config: BltConfig, size: number): EvaluationRow[] {
  if (ids.length < 2) return [];
  const limits = rowLimits(config, 2 * size);
  const wanted = Math.max(2, Math.round(size / meanPatchSize([lengths])));
  return evaluationRows([{ ids, patchLengths: lengths }], {
    patchesPerRow: Math.min(wanted, limits.maxPatches),
    limits,
  });
}

/** The bits of every token of each document but its first. */
async function scoreRows(
  { params, config }: Pick<Checkpoint, 'params' | 'config'>,
  documents: readonly Int32Array[],
  rows: readonly TextRow[],
  { batchBytes = 8192, pause, memory }: Pick<ScoreOptions, 'batchBytes' | 'pause' | 'memory'>,
): Promise<Float32Array[]> {
  const scored = documents.map((ids) => new Float32Array(ids.length - 1));
  const filled = documents.map(() => 0);
  for (const group of batches(rows, batchBytes)) {
    await pause?.();
    const values = await lossesOf({ params, config }, group, memory);
    let at = 0;
    for (const { text, targets: own, scoredFrom } of group) {
      for (let i = scoredFrom; i < own.length; i++) {
        const nats = values[at + i];
        if (!Number.isFinite(nats)) {
          throw new NonFiniteError(`the loss on a byte is ${nats}; the weights are broken, take an earlier checkpoint`);
        }
        scored[text][filled[text]++] = natsToBits(nats);
      }
      at += own.length;
    }
  }
  return scored;
}

/** Nats of the targets of rows, one after the other. Those of targets that are not scored may be 0. */
async function lossesOf(
  { params, config }: Pick<Checkpoint, 'params' | 'config'>,
  rows: readonly TextRow[],
  memory: MixedLosses | undefined,
): Promise<ArrayLike<number>> {
  const made = scope(() => {
    const batch = bltBatch(rows, config, { backend: params.lm_head.weight.backend });
    if (memory) return bltLogits(params, batch, config);
    const targets = Int32Array.from(rows.flatMap((row) => [...row.targets]));
    return bltLosses(params, batch, targets, config);
  });
  const values = (await made.read()) as Float32Array;
  release(made);
  if (!memory) return values;
  const own = rows.map(({ targets, learnedFrom }) => ({ targets, scoredFrom: learnedFrom }));
  return memory.losses(values, config.vocabSize, scoredIds(own));
}

/** Patch lengths without the first `count` bytes. */
function withoutFirst(lengths: Int32Array, count: number): Int32Array {
  let rest = count;
  let first = 0;
  while (first < lengths.length && lengths[first] <= rest) rest -= lengths[first++];
  const kept = lengths.slice(first);
  if (rest > 0 && kept.length > 0) kept[0] -= rest;
  return kept;
}
