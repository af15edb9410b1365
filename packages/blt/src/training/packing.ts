/** @file From documents to rows of a fixed number of patches. */
import type { HiddenNgrams } from '../model/batch.ts';
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
  /** See `HashedRow`. */
  readonly hiddenNgrams?: HiddenNgrams;
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

/** Token ids that are copied out as they are wanted. An Int32Array is one. */
export interface Tokens {
  readonly length: number;
  /** Ids start .. end-1, the caller's own. */
  slice(start: number, end: number): Int32Array;
}

/** Documents laid end to end, without a copy of them. */
export class JoinedTokens implements Tokens {
  readonly length: number;
  private readonly documents: readonly Int32Array[];
  /** [D + 1] the first token of each document, and the end. */
  private readonly starts: Float64Array;

  constructor(documents: readonly Int32Array[]) {
    this.documents = documents;
    this.starts = new Float64Array(documents.length + 1);
    documents.forEach((ids, d) => {
      this.starts[d + 1] = this.starts[d] + ids.length;
    });
    this.length = this.starts[documents.length];
  }

  slice(start: number, end: number): Int32Array {
    const out = new Int32Array(Math.max(0, Math.min(end, this.length) - start));
    for (let filled = 0, d = this.documentOf(start); filled < out.length; d++) {
      const from = start + filled - this.starts[d];
      const part = this.documents[d].subarray(from, from + out.length - filled);
      out.set(part, filled);
      filled += part.length;
    }
    return out;
  }

  /** The document that a token is of. */
  private documentOf(token: number): number {
    let [low, high] = [0, this.documents.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= token) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Tokens laid end to end. */
export interface PatchStream {
  /** [T] */
  readonly tokens: Tokens;
  /** [P] the end (exclusive) of each patch; the last is T. */
  readonly ends: Int32Array | Float64Array;
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
  stream: PatchStream,
  start: number,
  patch: number,
  limits: RowLimits,
): { row: TrainingRow; end: number; patch: number } {
  const lengths = [1];
  const { end, patch: next } = extentOfRow(stream, start, patch, limits, (length) => lengths.push(length));
  const { tokens, counted } = stream;
  const row = {
    ids: tokens.slice(start, end - 1),
    targets: tokens.slice(start + 1, end),
    patchLengths: Int32Array.from(lengths),
    ...(counted && { counted: counted.slice(start + 1, end) }),
  };
  return { row, end, patch: next };
}

/** The end of the row that begins with `start`, its patches, and the patch of what follows it. @param each told the length of every patch but the first */
function extentOfRow(
  { tokens, ends }: PatchStream,
  start: number,
  patch: number,
  { maxPatches, maxBytes }: RowLimits,
  each?: (length: number) => void,
): { end: number; patches: number; patch: number } {
  const limit = Math.min(tokens.length, start + maxBytes + 1);
  let patches = 1;
  let end = start + 1;
  while (patches < maxPatches && end < limit) {
    const next = Math.min(ends[patch], limit);
    each?.(next - end);
    patches++;
    end = next;
    if (end === ends[patch]) patch++;
  }
  return { end, patches, patch };
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
  const rows = packedRows(documents, options);
  return Array.from({ length: rows.length }, (_, i) => rows.at(i));
}

/** Rows that are made when they are asked for. */
export interface Rows<Row> {
  readonly length: number;
  /** Row i, 0 <= i < length; the same row however often it is asked for. */
  at(index: number): Row;
}

/** The rows of {@link packPatches}. Of each it is only remembered where it begins. @throws RangeError as `packPatches` */
export function packedRows(documents: readonly PatchedDocument[], options: PackPatchesOptions): Rows<TrainingRow> {
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
  // Token and patch that each row begins with.
  const starts: number[] = [];
  const patches: number[] = [];
  let patch = stream.ends[0] === 1 ? 1 : 0;
  for (let start = 0; start + 1 < total; ) {
    const extent = extentOfRow(stream, start, patch, limits);
    if (dropLast && extent.end === total && extent.patches < patchesPerRow) break;
    starts.push(start);
    patches.push(patch);
    start = extent.end - 1;
    patch = extent.patch;
  }
  return { length: starts.length, at: (i) => cutRow(stream, starts[i], patches[i], limits).row };
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
  // A 32-bit number holds every end up to 2 GB.
  const ends = total < 2 ** 31 ? new Int32Array(patches) : new Float64Array(patches);
  const counted = documents.some((d) => d.counted) ? new Uint8Array(total).fill(1) : undefined;
  let at = 0;
  let p = 0;
  for (const { patchLengths, ...document } of documents) {
    if (document.counted) counted!.set(document.counted, at);
    for (const length of patchLengths) ends[p++] = at += length;
  }
  return { tokens: new JoinedTokens(documents.map(({ ids }) => ids)), ends, counted };
}
