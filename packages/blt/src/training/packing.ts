/** @file From documents to rows of a fixed number of patches. */
import { type BltConfig, longestText } from '../model/config.ts';

/** A document as the data pipeline stores it: lengths cover its own bytes only (includeNextToken: false). */
export interface PatchedDocument {
  /** [S] */
  readonly ids: Int32Array;
  /** [P], all >= 1, sum S */
  readonly patchLengths: Int32Array;
  /** [S] 1 for the ids that count as targets, 0 for the others. Left out: all count. */
  readonly counted?: Uint8Array;
}

/** One row of a training batch, ready for `buildLayout`. */
export interface TrainingRow {
  /** [S] */
  readonly ids: Int32Array;
  /** [S] the byte after each id. */
  readonly targets: Int32Array;
  /** [P], first 1, sum S+1: the last target is the next token. */
  readonly patchLengths: Int32Array;
  /** [S] 1 for the targets that count, 0 for the others. Left out: all count. */
  readonly counted?: Uint8Array;
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
  /** [T] 1 for the tokens that count as targets. Left out: all count. */
  readonly counted?: Uint8Array;
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
  { tokens, ends, counted }: PatchStream,
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
    ...(counted && { counted: counted.slice(start + 1, end) }),
  };
  return { row, end, patch };
}

/** The size of the rows that `packPatches` cuts. */
export interface PackPatchesOptions {
  /** Patches per row, >= 2: the global model then takes the same number of steps for every row. */
  readonly patchesPerRow: number;
  /** Most ids per row; a patch that would cross is cut there. Default: no limit. */
  readonly maxBytes?: number | null;
  /** Leave out the last row if it has fewer patches (default false). */
  readonly dropLast?: boolean;
}

/**
 * Lays documents end to end and cuts the stream into rows of exactly `patchesPerRow` patches.
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
  const counted = documents.some((d) => d.counted) ? new Uint8Array(total).fill(1) : undefined;
  let at = 0;
  let p = 0;
  for (const { ids, patchLengths, ...document } of documents) {
    tokens.set(ids, at);
    if (document.counted) counted!.set(document.counted, at);
    for (const length of patchLengths) ends[p++] = at += length;
  }
  return { tokens, ends, counted };
}
