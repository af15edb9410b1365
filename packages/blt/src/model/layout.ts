/** @file From rows of bytes and patch lengths to the index arrays of a batch: positions, patches, and the intervals that each attention sees. */
import { EOS } from '../patching/vocabulary.ts';

/**
 * An attention pattern without a mask: query row i sees the key rows lo[i] .. hi[i]-1 and nothing else. Both arrays
 * never decrease; lo[i] = hi[i] means that row i sees nothing.
 */
export interface Interval {
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}

/** The integer arrays of one batch for models over bytes alone. Rows lie end to end, without padding. */
export interface ByteLayout {
  /** Number of rows R. */
  readonly rows: number;
  /** Number of bytes B of all rows together (ids, specials included). */
  readonly bytes: number;
  /** [B] */
  readonly ids: Int32Array;
  /** [B] index of the byte within its row; not reset where a document starts. */
  readonly positions: Int32Array;
  /** [R+1] first byte of each row, then B. */
  readonly rowStarts: Int32Array;
  /** [B] queries over [B] keys: causal, window, same row, same document. */
  readonly local: Interval;
}

/** The integer arrays of one batch for the whole model. P patches, each with k rows in the cross-attentions. */
export interface Layout extends ByteLayout {
  /** Number of patches P of all rows together. */
  readonly patches: number;
  /** Query (encoder) and key (decoder) rows per patch, `cross_attn_k`. */
  readonly k: number;
  /** [P+1] first byte of each patch, then B. */
  readonly patchStarts: Int32Array;
  /** [B] patch of each byte. */
  readonly patchOfByte: Int32Array;
  /** [P] index of the patch within its row. */
  readonly patchPositions: Int32Array;
  /** [P] queries over [P] keys: causal, same row, same document. */
  readonly global: Interval;
  /** [P*k] queries (patch-major) over [B] keys: the bytes of the patch. */
  readonly encoderCross: Interval;
  /** [B] queries over [P*k] keys: the k rows of the newest patch that ends at or before this byte. */
  readonly decoderCross: Interval;
}

/** The intervals of bytes: what each may see of the others. */
export interface ByteLayoutOptions {
  /** A byte sees itself and window-1 bytes before it; null: no limit. */
  readonly window: number | null;
  /** true: nothing is seen across the end of a document (an EOS, which belongs to the document it closes). */
  readonly documents: boolean;
  /** Id that ends a document (default EOS = 2). */
  readonly eos?: number;
}

/** The bytes that a byte may see, and the bytes and patches that may see each other. */
export interface LayoutOptions extends ByteLayoutOptions {
  readonly k: number;
  /** Patch q of the encoder sees the bytes of patches q-w+1 .. q of its row (default 1: its own). */
  readonly crossWindowEncoder?: number;
  /** A byte of the decoder sees patches d-w+1 .. d of its row (default 1: only d). */
  readonly crossWindowDecoder?: number;
}

/** One row: its bytes and how they are cut. */
export interface PatchedRow {
  /** [S] */
  readonly ids: Int32Array;
  /** Lengths >= 1 with the next, unseen token included: the first is 1 and the sum is S+1. */
  readonly patchLengths: Int32Array;
}

/**
 * Lays rows of bytes end to end.
 *
 * local: lo[i] = max(start of the row or document, i - window + 1), hi[i] = i + 1.
 * @throws RangeError if there is no row, a row is empty, or window < 1
 */
export function byteLayout(rows: readonly Int32Array[], options: ByteLayoutOptions): ByteLayout {
  const { window, documents, eos = EOS } = options;
  if (window !== null) requireInteger('byteLayout: window', window);
  if (rows.length === 0) throw new RangeError('byteLayout: at least one row is needed, got 0');
  const rowStarts = new Int32Array(rows.length + 1);
  for (let r = 0; r < rows.length; r++) {
    if (rows[r].length === 0) throw new RangeError(`byteLayout: row ${r} is empty, a row needs at least one byte`);
    rowStarts[r + 1] = rowStarts[r] + rows[r].length;
  }
  const B = rowStarts[rows.length];
  const ids = new Int32Array(B);
  const positions = new Int32Array(B);
  const lo = new Int32Array(B);
  const hi = new Int32Array(B);
  for (let r = 0; r < rows.length; r++) {
    ids.set(rows[r], rowStarts[r]);
    let start = rowStarts[r];
    for (let i = rowStarts[r]; i < rowStarts[r + 1]; i++) {
      positions[i] = i - rowStarts[r];
      lo[i] = window === null ? start : Math.max(start, i - window + 1);
      hi[i] = i + 1;
      if (documents && ids[i] === eos) start = i + 1;
    }
  }
  return { rows: rows.length, bytes: B, ids, positions, rowStarts, local: { lo, hi } };
}

/**
 * Lays patched rows end to end.
 *
 * - global: patch j sees the patches of its row up to itself; with `documents` only those after the last patch before j
 *   that contains an EOS (a document of patches ends AFTER such a patch).
 * - encoderCross: each of the k rows of patch j sees exactly the bytes of patch j.
 * - decoderCross: byte i sees the rows k*d .. k*d+k-1 of patch d = patch(i+1) - 1, where i+1 is the byte it predicts. The
 *   last byte of a row sees its row's last patch only if the unseen next token starts a new one.
 *
 * A patch that holds nothing but the unseen next token is left out: nothing could ever read it.
 * @throws RangeError if k, a window, or a row's patch lengths do not fit
 */
export function buildLayout(rows: readonly PatchedRow[], options: LayoutOptions): Layout {
  const { k, documents, eos = EOS, crossWindowEncoder = 1, crossWindowDecoder = 1 } = options;
  requireInteger('buildLayout: k', k);
  requireInteger('buildLayout: crossWindowEncoder', crossWindowEncoder);
  requireInteger('buildLayout: crossWindowDecoder', crossWindowDecoder);
  const bytes = byteLayout(
    rows.map((row) => row.ids),
    options,
  );
  const B = bytes.bytes;
  let P = 0;
  for (let r = 0; r < rows.length; r++) P += visiblePatches(rows[r], r);

  const patchStarts = new Int32Array(P + 1);
  const patchOfByte = new Int32Array(B);
  const patchPositions = new Int32Array(P);
  const global = interval(P);
  const encoderCross = interval(P * k);
  const decoderCross = interval(B);
  let patch = 0;
  for (let r = 0; r < rows.length; r++) {
    const lengths = rows[r].patchLengths;
    const rowEnd = bytes.rowStarts[r + 1];
    const firstPatch = patch;
    let documentStart = firstPatch;
    let start = bytes.rowStarts[r];
    for (let j = 0; start < rowEnd; j++, patch++) {
      const end = Math.min(start + lengths[j], rowEnd);
      patchStarts[patch] = start;
      patchPositions[patch] = j;
      global.lo[patch] = documentStart;
      global.hi[patch] = patch + 1;
      const firstSeen = patchStarts[Math.max(firstPatch, patch - crossWindowEncoder + 1)];
      encoderCross.lo.fill(firstSeen, patch * k, (patch + 1) * k);
      encoderCross.hi.fill(end, patch * k, (patch + 1) * k);
      // Byte i predicts byte i+1, so the bytes start-1 .. end-2 read the patch before this one.
      for (let i = start; i < end; i++) {
        patchOfByte[i] = patch;
        if (i > bytes.rowStarts[r]) see(decoderCross, i - 1, patch - 1, firstPatch, crossWindowDecoder, k);
        if (documents && bytes.ids[i] === eos) documentStart = patch + 1;
      }
      start += lengths[j];
    }
    // Now start > rowEnd if the unseen next token falls into the last patch, and start = rowEnd if it opens another.
    const d = start > rowEnd ? patch - 2 : patch - 1;
    see(decoderCross, rowEnd - 1, d, firstPatch, crossWindowDecoder, k);
  }
  patchStarts[P] = B;
  return { ...bytes, patches: P, k, patchStarts, patchOfByte, patchPositions, global, encoderCross, decoderCross };
}

/** Lets byte i see the k rows of each patch d-w+1 .. d, not before the row's first patch. */
function see(cross: Interval, i: number, d: number, firstPatch: number, w: number, k: number): void {
  cross.lo[i] = Math.max(firstPatch, d - w + 1) * k;
  cross.hi[i] = (d + 1) * k;
}

/** Number of patches of a row that hold at least one visible byte; checks the lengths on the way. */
function visiblePatches({ ids, patchLengths }: PatchedRow, row: number): number {
  let sum = 0;
  for (let j = 0; j < patchLengths.length; j++) {
    if (patchLengths[j] < 1) {
      throw new RangeError(
        `buildLayout: patch ${j} of row ${row} has length ${patchLengths[j]}; drop empty patches, lengths start at 1`,
      );
    }
    sum += patchLengths[j];
  }
  if (sum !== ids.length + 1) {
    throw new RangeError(
      `buildLayout: patch lengths of row ${row} sum to ${sum} but must cover its ${ids.length} bytes and the next token, ` +
        `${ids.length + 1}; patch with includeNextToken: true`,
    );
  }
  if (patchLengths[0] !== 1) {
    throw new RangeError(
      `buildLayout: the first patch of row ${row} has length ${patchLengths[0]} but must have 1; use splitFirstPatch`,
    );
  }
  return patchLengths.length - (patchLengths[patchLengths.length - 1] === 1 ? 1 : 0);
}

function interval(n: number): Interval {
  return { lo: new Int32Array(n), hi: new Int32Array(n) };
}

function requireInteger(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be an integer >= 1, got ${value}`);
}
