/** @file Which rows a training step sees: a pure function of the seed, the epoch and the place in it. */
import type { Random } from '@blt-ts/tensor';
import { countedTargets } from './counted.ts';
import { JoinedTokens, type PatchedDocument, packedRows, type Rows, type TrainingRow } from './packing.ts';

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
  private readonly rowsOf: (random: Random, epoch: number) => Rows<Row>;
  private readonly random: Random;
  private rows: Rows<Row> | null = null;
  /** Numbers of the rows, shuffled. */
  private order = new Int32Array(0);
  private at: DataCursor = { epoch: -1, row: 0 };

  /** @param rowsOf all rows of an epoch: an array, or rows that are made when they are asked for */
  constructor(random: Random, rowsOf: (random: Random, epoch: number) => Rows<Row> | readonly Row[]) {
    this.random = random;
    this.rowsOf = (stream, epoch) => {
      const rows = rowsOf(stream, epoch);
      return { length: rows.length, at: (i) => rows.at(i)! };
    };
  }

  get cursor(): DataCursor {
    return { ...this.at };
  }

  /** Continues at a saved place. */
  seek(cursor: DataCursor): void {
    if (cursor.epoch >= 0) this.startEpoch(cursor.epoch);
    else this.order = new Int32Array(0);
    this.at = { ...cursor };
  }

  /** The next n rows. They may come from two epochs. */
  next(n: number): Row[] {
    const rows: Row[] = [];
    while (rows.length < n) {
      if (this.at.row >= this.order.length) {
        this.startEpoch(this.at.epoch + 1);
        this.at = { epoch: this.at.epoch + 1, row: 0 };
      }
      rows.push(this.rows!.at(this.order[this.at.row++]));
    }
    return rows;
  }

  /** Makes the rows of an epoch. */
  private startEpoch(epoch: number): void {
    const stream = this.random.fork(`epoch ${epoch}`);
    this.rows = this.rowsOf(stream, epoch);
    this.order = stream.shuffle(Int32Array.from({ length: this.rows.length }, (_, i) => i));
    if (this.order.length === 0) throw new RangeError('the corpus is too small to fill one row; give more bytes');
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
  return allOf(lazyPatchRows(documents, patchesPerRow, maxBytes, random, epoch));
}

const allOf = <Row>(rows: Rows<Row>): Row[] => Array.from({ length: rows.length }, (_, i) => rows.at(i));

/** The rows of {@link patchRows}, made when they are asked for. */
export function lazyPatchRows(
  documents: readonly PatchedDocument[],
  patchesPerRow: number,
  maxBytes: number | null,
  random: Random,
  epoch: number,
): Rows<TrainingRow> {
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
  const rows = packedRows(order, { patchesPerRow, maxBytes });
  if (order.every(({ counted }) => counted === undefined)) return rows;
  const kept = Array.from({ length: rows.length }, (_, i) => i).filter((i) => countedTargets(rows.at(i)) > 0);
  return { length: kept.length, at: (i) => rows.at(kept[i]) };
}

/** A row of plain bytes with their successors. */
export interface ByteRow {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
}

/** Rows of `rowBytes` bytes from documents in random order, cut as `patchRows` does. */
export function byteRows(documents: readonly Int32Array[], rowBytes: number, random: Random, epoch: number): ByteRow[] {
  return allOf(lazyByteRows(documents, rowBytes, random, epoch));
}

/** The rows of {@link byteRows}, made when they are asked for. */
export function lazyByteRows(
  documents: readonly Int32Array[],
  rowBytes: number,
  random: Random,
  epoch: number,
): Rows<ByteRow> {
  const stream = new JoinedTokens(random.shuffle([...documents]));
  const total = stream.length;
  const skip = epoch > 0 ? random.integer(Math.max(1, Math.min(rowBytes, total - 1))) : 0;
  return {
    length: Math.max(0, Math.ceil((total - 1 - skip) / rowBytes)),
    at: (i) => {
      const start = skip + i * rowBytes;
      const end = Math.min(total - 1, start + rowBytes);
      return { ids: stream.slice(start, end), targets: stream.slice(start + 1, end + 1) };
    },
  };
}
