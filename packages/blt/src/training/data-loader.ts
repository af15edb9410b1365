/** @file Which rows a training step sees: a pure function of the seed, the epoch and the place in it. */
import type { Random } from '@blt-ts/tensor';
import { countedTargets } from './counted.ts';
import { type PatchedDocument, packPatches, type TrainingRow } from './packing.ts';

/** The place in the data: enough to go on exactly. */
export interface DataCursor {
  /** Of a mixture 0, because each source has its own. */
  epoch: number;
  /** Rows of this epoch already used; of a mixture all rows. */
  row: number;
  /** The place in each source of a mixture. */
  sources?: readonly Omit<DataCursor, 'sources'>[];
}

/** The rows of a loop, one after the other, from a place that can be saved. */
export interface RowLoader<Row> {
  readonly cursor: DataCursor;
  /** Continues at a saved place. */
  seek(cursor: DataCursor): void;
  /** The next n rows. */
  next(n: number): Row[];
}

/** Hands out the rows of one epoch after the other. Each epoch is cut and shuffled anew by its own random stream. */
export class EpochLoader<Row> implements RowLoader<Row> {
  private readonly rowsOf: (random: Random, epoch: number) => Row[];
  private readonly random: Random;
  private rows: Row[] = [];
  private at: DataCursor = { epoch: -1, row: 0 };

  constructor(random: Random, rowsOf: (random: Random, epoch: number) => Row[]) {
    this.random = random;
    this.rowsOf = rowsOf;
  }

  get cursor(): DataCursor {
    return { ...this.at };
  }

  /** Continues at a saved place. */
  seek(cursor: DataCursor): void {
    if (cursor.epoch >= 0) this.startEpoch(cursor.epoch);
    else this.rows = [];
    this.at = { ...cursor };
  }

  /** The next n rows. They may come from two epochs. */
  next(n: number): Row[] {
    const rows: Row[] = [];
    while (rows.length < n) {
      if (this.at.row >= this.rows.length) {
        this.startEpoch(this.at.epoch + 1);
        this.at = { epoch: this.at.epoch + 1, row: 0 };
      }
      rows.push(this.rows[this.at.row++]);
    }
    return rows;
  }

  /** Makes the rows of an epoch. */
  private startEpoch(epoch: number): void {
    const stream = this.random.fork(`epoch ${epoch}`);
    this.rows = stream.shuffle(this.rowsOf(stream, epoch));
    if (this.rows.length === 0) throw new RangeError('the corpus is too small to fill one row; give more bytes');
  }
}

/**
 * Rows of `patchesPerRow` patches, and of `maxBytes` ids at most, from documents in random order. From the second epoch on, a random
 * number of patches at the start is left out, so that the cuts fall elsewhere. Rows of which no target counts teach nothing and are left out.
 */
export function patchRows(
  documents: readonly PatchedDocument[],
  patchesPerRow: number,
  maxBytes: number | null,
  random: Random,
  epoch: number,
): TrainingRow[] {
  const order = random.shuffle([...documents]);
  if (epoch > 0 && order.length > 0) {
    const { ids, patchLengths, counted } = order[0];
    const skip = random.integer(Math.max(1, Math.min(patchesPerRow, patchLengths.length)));
    const bytes = patchLengths.subarray(0, skip).reduce((sum, length) => sum + length, 0);
    const total = order.reduce((n, d) => n + d.ids.length, 0);
    // The rest must have a token and its successor.
    if (total - bytes >= 2) {
      order[0] = {
        ids: ids.subarray(bytes),
        patchLengths: patchLengths.subarray(skip),
        counted: counted?.subarray(bytes),
      };
    }
  }
  return packPatches(order, { patchesPerRow, maxBytes }).filter((row) => countedTargets(row) > 0);
}

/** A row of plain bytes with their successors. */
export interface ByteRow {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
}

/** Rows of `rowBytes` bytes from documents in random order, cut as `patchRows` does. */
export function byteRows(documents: readonly Int32Array[], rowBytes: number, random: Random, epoch: number): ByteRow[] {
  const order = random.shuffle([...documents]);
  const total = order.reduce((n, d) => n + d.length, 0);
  const stream = new Int32Array(total);
  let at = 0;
  for (const d of order) {
    stream.set(d, at);
    at += d.length;
  }
  const rows: ByteRow[] = [];
  const skip = epoch > 0 ? random.integer(Math.max(1, Math.min(rowBytes, total - 1))) : 0;
  for (let s = skip; s + 1 < total; s += rowBytes) {
    const e = Math.min(total - 1, s + rowBytes);
    rows.push({ ids: stream.subarray(s, e), targets: stream.subarray(s + 1, e + 1) });
  }
  return rows;
}
