/** @file Held-out text in rows, so that every token is predicted exactly once, with as much context before it as there is room for. */
import { NOT_SCORED } from '../memory/memory-mixture.ts';
import type { BltConfig } from '../model/config.ts';
import { countedBytes } from './counted.ts';
import { cutRow, type PatchedDocument, type RowLimits, rowLimits, type TrainingRow } from './packing.ts';
import type { RunPlan } from './run-plan.ts';

/** A row of which only the targets from `scoredFrom` on count: the ones before are context. */
export interface EvaluationRow extends TrainingRow {
  readonly scoredFrom: number;
  /** The number of its document's source, where text of several sources is measured. */
  readonly source?: number;
}

/** A held-out document, and the number of its source where there are several. */
export interface EvaluatedDocument extends PatchedDocument {
  readonly source?: number;
}

/** The size and the overlap of evaluation rows. */
export interface EvaluationRowsOptions {
  /** Patches of the documents per row, >= 2. */
  readonly patchesPerRow: number;
  /** The longest rows the model takes, see `rowLimits`. */
  readonly limits: RowLimits;
  /** Patches between the starts of two rows (default: half a row). */
  readonly stride?: number;
}

/**
 * Rows of up to `patchesPerRow` patches, each starting `stride` patches after the one before: every token but each document's
 * first is scored exactly once. With the default stride, half a row, each has at least half a row of context before it wherever
 * the document has that much; with a whole row it costs half, and tokens at a row's start are predicted from little.
 *
 * Where so many patches hold more than `limits.maxBytes` ids, the row ends at that limit (within a patch, if need be), and the row after it
 * overlaps it by the same share of its bytes as other rows do of their patches.
 * @throws RangeError if patchesPerRow or a limit leaves no room for a token and its successor
 */
export function evaluationRows(
  documents: readonly EvaluatedDocument[],
  { patchesPerRow, limits, stride = Math.ceil(patchesPerRow / 2) }: EvaluationRowsOptions,
): EvaluationRow[] {
  const perRow = Math.min(patchesPerRow, limits.maxPatches);
  if (!Number.isInteger(perRow) || perRow < 2 || !(limits.maxBytes >= 1)) {
    throw new RangeError(
      `evaluationRows: a row needs 2 patches and 1 byte, got ${perRow} patches and ${limits.maxBytes} bytes; raise patchesPerRow or the limits`,
    );
  }
  // Rows that the limit makes shorter overlap by the same share.
  const overlap = Math.floor((perRow * Math.max(0, patchesPerRow - stride)) / patchesPerRow);
  const overlapBytes = Math.max(1, Math.floor((limits.maxBytes * overlap) / perRow));
  return documents.flatMap(({ ids, patchLengths, counted, source }) => {
    const rows: EvaluationRow[] = [];
    let sum = 0;
    const ends = patchLengths.map((length) => (sum += length));
    const startOf = (patch: number): number => (patch === 0 ? 0 : ends[patch - 1]);
    const stream = { tokens: ids, ends, counted };
    const from = source === undefined ? {} : { source };

    let patch = 0; // the patch of the row's first token
    const rowFrom = (begin: number) => {
      while (ends[patch] <= begin) patch++;
      const splits = ends[patch] > begin + 1;
      // A row's first token is a patch of its own: one more than the document has.
      const maxPatches = Math.min(perRow + (splits ? 1 : 0), limits.maxPatches);
      const found = cutRow(stream, begin, splits ? patch : patch + 1, { maxPatches, maxBytes: limits.maxBytes });
      // Whether there would have been more, but for the bytes.
      const full =
        found.row.ids.length === limits.maxBytes && found.end < ends[Math.min(patch + perRow, ends.length) - 1];
      return { ...found, begin, full };
    };

    let scored = 1; // tokens before this one have been targets already (or are the first)
    let begin = 0;
    while (scored < ids.length) {
      let found = rowFrom(begin);
      // Long patches: no more context than leaves room for what is new.
      if (found.full) found = rowFrom(Math.max(begin, scored - overlapBytes));
      if (found.end <= scored) found = rowFrom(scored - 1);
      rows.push({ ...found.row, ...from, scoredFrom: scored - found.begin - 1 });
      scored = found.end;
      // At least one patch of overlap: a row's first token is read, not predicted.
      begin = found.full
        ? scored - overlapBytes
        : Math.min(scored - 1, startOf(Math.max(patch + 1, found.patch - Math.max(1, overlap))));
    }
    return rows;
  });
}

/** The held-out rows of a run, cut by the limits that its training rows have. @param stride patches between the starts of two rows */
export function heldOutRows(
  { model: { patchesPerRow, maxRowBytes } }: RunPlan,
  config: BltConfig,
  documents: readonly EvaluatedDocument[],
  stride: number,
): EvaluationRow[] {
  return evaluationRows(documents, { patchesPerRow, limits: rowLimits(config, maxRowBytes), stride });
}

/** About `bytes` ids of the rows that have a byte to predict, spread evenly; all rows if none has. */
export function sampleRows(rows: readonly EvaluationRow[], bytes: number): readonly EvaluationRow[] {
  const scored = rows.some(({ counted }) => counted) ? rows.filter((row) => countedBytes([row]) > 0) : rows;
  const total = scored.reduce((n, r) => n + r.ids.length, 0);
  const every = Math.max(1, Math.floor(total / bytes));
  const sample = scored.filter((_, i) => i % every === 0);
  return countedBytes(sample) > 0 ? sample : rows;
}

/** The targets of rows, end to end. Those before `scoredFrom` are NOT_SCORED. */
export function scoredIds(rows: readonly Pick<EvaluationRow, 'targets' | 'scoredFrom'>[]): Int32Array {
  return Int32Array.from(
    rows.flatMap(({ targets, scoredFrom }) => [...targets].map((id, i) => (i < scoredFrom ? NOT_SCORED : id))),
  );
}
