import { type BltConfig, longestText } from '../model/config.ts';
import { BOE } from '../patching/vocabulary.ts';

/** A document as the data pipeline stores it: lengths cover its own bytes only (includeNextToken: false). */
export interface PatchedDocument {
  /** [S] */
  readonly ids: Int32Array;
  /** [P], all >= 1, sum S */
  readonly patchLengths: Int32Array;
}

/** One row of a training batch, ready for `buildLayout`. */
export interface TrainingRow {
  /** [S] */
  readonly ids: Int32Array;
  /** [S] the byte after each id. */
  readonly targets: Int32Array;
  /** [P], first 1, sum S+1: the last target is the next token. */
  readonly patchLengths: Int32Array;
}

/** The most that one row may hold. */
export interface RowLimits {
  /** Patches (positions of the global transformer). The first token of a row counts as one. */
  readonly maxPatches: number;
  /** Ids (positions of the local models). The last target comes on top, because it is predicted and not read. */
  readonly maxBytes: number;
}

/**
 * The limits of rows for a model: what its stacks have positions for.
 * @param maxBytes a lower limit in ids; null: only the model's own
 */
export function rowLimits(config: BltConfig, maxBytes: number | null = null): RowLimits {
  return {
    maxPatches: config.global.maxPositionEmbeddings,
    maxBytes: Math.min(maxBytes ?? Number.POSITIVE_INFINITY, longestText(config)),
  };
}

/** Tokens laid end to end. */
export interface PatchStream {
  /** [T] */
  readonly tokens: Int32Array;
  /** [P] the end (exclusive) of each patch; the last is T. */
  readonly ends: Int32Array;
}

/**
 * The longest row that starts with token `start` and stays within both limits. Training and evaluation cut all their rows here.
 *
 * A row over the tokens start .. end-1 has ids = start .. end-2 and targets = start+1 .. end-1. Its first token is a patch of its own,
 * because the model predicts byte 1 from patch 0. What is left of that token's patch is the second patch. A patch that crosses the limit
 * in bytes is cut there.
 * @param patch the patch that token start+1 belongs to
 * @returns the row, its end, and the patch that token `end` belongs to
 */
export function cutRow(
  { tokens, ends }: PatchStream,
  start: number,
  patch: number,
  { maxPatches, maxBytes }: RowLimits,
): { row: TrainingRow; end: number; patch: number } {
  const limit = Math.min(tokens.length, start + maxBytes + 1);
  const lengths = [1];
  let end = start + 1;
  while (lengths.length < maxPatches && end < limit) {
    const next = Math.min(ends[patch], limit);
    lengths.push(next - end);
    end = next;
    if (end === ends[patch]) patch++;
  }
  const row = {
    ids: tokens.slice(start, end - 1),
    targets: tokens.slice(start + 1, end),
    patchLengths: Int32Array.from(lengths),
  };
  return { row, end, patch };
}

export interface PackPatchesOptions {
  /** Patches per row, >= 2: the global model then takes the same number of steps for every row. */
  readonly patchesPerRow: number;
  /** Most ids per row; a patch that would cross is cut there. Default: no limit. */
  readonly maxBytes?: number | null;
  /** Leave out the last row if it has fewer patches (default false). */
  readonly dropLast?: boolean;
}

/**
 * Lay documents end to end and cut the stream into rows of exactly `patchesPerRow` patches.
 *
 * Each row is cut by `cutRow` and starts with the last token of the one before, so every token but the very first is a
 * target exactly once. Only the last row can be shorter, in patches, and rows that reached maxBytes. (The authors' iterator
 * cuts disjoint rows instead: it never predicts a row's first token and drops a row's last patch whenever its first one had
 * to be split.)
 *
 * Shuffle the documents before, or the rows after.
 * @throws RangeError if an option or a document's lengths do not fit
 */
export function packPatches(documents: readonly PatchedDocument[], options: PackPatchesOptions): TrainingRow[] {
  const { patchesPerRow, maxBytes = null, dropLast = false } = options;
  if (!Number.isInteger(patchesPerRow) || patchesPerRow < 2) {
    throw new RangeError(`packPatches: patchesPerRow must be an integer >= 2, got ${patchesPerRow}`);
  }
  if (maxBytes !== null && (!Number.isInteger(maxBytes) || maxBytes < 1)) {
    throw new RangeError(`packPatches: maxBytes must be an integer >= 1 or null, got ${maxBytes}`);
  }
  const stream = concatenate(documents);
  const total = stream.tokens.length;
  const limits = { maxPatches: patchesPerRow, maxBytes: maxBytes ?? total };
  const rows: TrainingRow[] = [];
  let patch = stream.ends[0] === 1 ? 1 : 0;
  for (let start = 0; start + 1 < total; ) {
    const cut = cutRow(stream, start, patch, limits);
    if (dropLast && cut.end === total && cut.row.patchLengths.length < patchesPerRow) break;
    rows.push(cut.row);
    start = cut.end - 1;
    patch = cut.patch;
  }
  return rows;
}

/** The stream of all documents. */
function concatenate(documents: readonly PatchedDocument[]): PatchStream {
  let total = 0;
  let patches = 0;
  documents.forEach(({ ids, patchLengths }, d) => {
    let sum = 0;
    for (const length of patchLengths) {
      if (length < 1)
        throw new RangeError(`packPatches: document ${d} has a patch of length ${length}, lengths start at 1`);
      sum += length;
    }
    if (sum !== ids.length) {
      throw new RangeError(
        `packPatches: patch lengths of document ${d} sum to ${sum} but it has ${ids.length} ids; ` +
          'patch documents with includeNextToken: false',
      );
    }
    total += ids.length;
    patches += patchLengths.length;
  });
  const tokens = new Int32Array(total);
  const ends = new Int32Array(patches);
  let at = 0;
  let p = 0;
  for (const { ids, patchLengths } of documents) {
    tokens.set(ids, at);
    for (const length of patchLengths) ends[p++] = at += length;
  }
  return { tokens, ends };
}

/** One batch as a rectangle, in the form of the authors' data loader. */
export interface PaddedBatch {
  /** [batchSize][length] */
  readonly x: Int32Array[];
  readonly y: Int32Array[];
  /** [batchSize][length], false on padding */
  readonly mask: boolean[][];
  /** [batchSize][P], sums length+1, trailing zeros where a row was cut */
  readonly patchLengths: Int32Array[];
}

export interface PadBatchOptions {
  readonly batchSize: number;
  /** Longest x allowed. */
  readonly maxLength: number;
  /** true: pad to maxLength; false: to the longest row. */
  readonly padToMaxLength: boolean;
  /** Default BOE = 0. */
  readonly padId?: number;
}

/**
 * The rectangle that the authors' loader makes of up to batchSize sequences (each with the same number of patches, lengths
 * summing to its tokens). This library trains on rows without padding (`packPatches`); this form exists to compare with.
 *
 * Per sequence: a first patch L > 1 becomes 1, L-1 and the last patch is dropped with its bytes; x = tokens without the
 * last, y = without the first; the tail beyond maxLength is cut off, the patch it cuts shortened and later ones set to 0;
 * padding is added to the last patch. Missing sequences become rows of padding that repeat the last row's lengths.
 * @throws RangeError if there is no sequence, too many, or lengths that do not sum to the tokens
 */
export function padBatch(sequences: readonly PatchedDocument[], options: PadBatchOptions): PaddedBatch {
  const { batchSize, maxLength, padToMaxLength, padId = BOE } = options;
  if (sequences.length === 0 || sequences.length > batchSize) {
    throw new RangeError(
      `padBatch: a batch of ${batchSize} takes 1 .. ${batchSize} sequences, got ${sequences.length}`,
    );
  }
  const cut = sequences.map((sequence, s) => cutSequence(sequence, s, maxLength));
  const longest = cut.reduce((most, { ids }) => Math.max(most, ids.length - 1), 0);
  const length = padToMaxLength ? maxLength : longest;
  const batch = { x: [], y: [], mask: [], patchLengths: [] } as PaddedBatch;
  for (let r = 0; r < batchSize; r++) {
    const row = cut[r];
    const S = row ? row.ids.length - 1 : 0;
    const x = new Int32Array(length).fill(padId);
    const y = new Int32Array(length).fill(padId);
    if (row) {
      x.set(row.ids.subarray(0, S));
      y.set(row.ids.subarray(1));
      row.patchLengths[row.patchLengths.length - 1] += length - S;
    }
    batch.x.push(x);
    batch.y.push(y);
    batch.mask.push(Array.from({ length }, (_, i) => i < S));
    batch.patchLengths.push(row ? row.patchLengths : batch.patchLengths[r - 1].slice());
  }
  return batch;
}

/** First patch of length 1, at most maxLength + 1 tokens; fresh arrays. */
function cutSequence({ ids, patchLengths }: PatchedDocument, s: number, maxLength: number): PatchedDocument {
  const sum = patchLengths.reduce((a, b) => a + b, 0);
  if (sum !== ids.length || sum < 1) {
    throw new RangeError(`padBatch: patch lengths of sequence ${s} sum to ${sum} but it has ${ids.length} ids`);
  }
  let lengths = patchLengths.slice();
  let end = ids.length;
  if (lengths[0] > 1) {
    end -= lengths[lengths.length - 1];
    lengths = Int32Array.from([1, lengths[0] - 1, ...lengths.subarray(1, -1)]).slice(0, lengths.length);
    if (patchLengths.length === 1) end = 1;
  }
  end = Math.min(end, maxLength + 1);
  let room = end;
  for (let j = 0; j < lengths.length; j++) {
    lengths[j] = Math.min(lengths[j], room);
    room -= lengths[j];
  }
  return { ids: ids.slice(0, end), patchLengths: lengths };
}
