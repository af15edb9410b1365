/** @file The bytes of a corpus on disk that a run reads: the same draw as data/sample.ts makes, on a table. */
import type { Document } from '../data/document.ts';
import { atCharacterStart, drawPieces, LONGEST_CONTINUATION, PIECE_BYTES } from '../data/sample.ts';
import { DocumentTable } from './document-table.ts';
import { fetchRanges, type Stored } from './fetch.ts';
import { documentName } from './pieces.ts';

/** One side of a split. */
export type Side = 'train' | 'heldOut';

/** Bytes from .. to-1 of document i belong to a side. */
function bounds(table: DocumentTable, i: number, side: Side): [from: number, to: number] {
  const { cut, size } = table.row(i);
  return side === 'train' ? [0, cut] : [cut, size];
}

/** Numbers of documents and bytes of each side. */
export function countSides(table: DocumentTable): Record<Side, { documents: number; bytes: number }> {
  const counts = { train: { documents: 0, bytes: 0 }, heldOut: { documents: 0, bytes: 0 } };
  for (const { cut, size } of table.all()) {
    counts.train.bytes += cut;
    counts.heldOut.bytes += size - cut;
    if (cut > 0) counts.train.documents++;
    if (cut < size) counts.heldOut.documents++;
  }
  return counts;
}

/** The pieces of a side, numbered through. Of each page of the table it is known how many come before it. */
class Pieces {
  readonly count: number;
  private readonly before: number[] = [];
  private readonly table: DocumentTable;
  private readonly side: Side;

  constructor(table: DocumentTable, side: Side) {
    this.table = table;
    this.side = side;
    let count = 0;
    for (let i = 0; i < table.length; i++) {
      if (i % DocumentTable.pageRows === 0) this.before.push(count);
      count += this.of(i);
    }
    this.count = count;
  }

  private of(i: number): number {
    const [from, to] = bounds(this.table, i, this.side);
    return Math.ceil((to - from) / PIECE_BYTES);
  }

  /** The document that a piece is of, and its first byte there, counted from the start of the side's part. */
  find(piece: number): { document: number; at: number } {
    let [low, high] = [0, this.before.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.before[middle] <= piece) low = middle;
      else high = middle - 1;
    }
    let document = low * DocumentTable.pageRows;
    let first = this.before[low];
    for (let own = this.of(document); first + own <= piece; own = this.of(document)) {
      first += own;
      document++;
    }
    return { document, at: (piece - first) * PIECE_BYTES };
  }
}

/** A stretch of a document's part, before its ends are moved to the ends of characters. */
interface Stretch {
  readonly document: number;
  readonly begin: number;
  readonly end: number;
}

/**
 * The documents that `sampleDocuments` would draw from a side.
 * @param bytes null: all of it
 */
export async function sampleTable(stored: Stored, side: Side, bytes: number | null, seed: number): Promise<Document[]> {
  const { table } = stored;
  const { bytes: all } = countSides(table)[side];
  return read(stored, side, bytes === null || all <= bytes ? whole(table, side) : drawn(table, side, bytes, seed));
}

function whole(table: DocumentTable, side: Side): Stretch[] {
  const stretches: Stretch[] = [];
  for (let document = 0; document < table.length; document++) {
    const [from, to] = bounds(table, document, side);
    if (to > from) stretches.push({ document, begin: 0, end: to - from });
  }
  return stretches;
}

function drawn(table: DocumentTable, side: Side, bytes: number, seed: number): Stretch[] {
  const pieces = new Pieces(table, side);
  const sizeOf = (piece: number): number => {
    const { document, at } = pieces.find(piece);
    const [from, to] = bounds(table, document, side);
    return Math.min(PIECE_BYTES, to - from - at);
  };
  const stretches: Stretch[] = [];
  for (const piece of drawPieces(pieces.count, sizeOf, bytes, seed)) {
    const { document, at } = pieces.find(piece);
    const last = stretches.at(-1);
    // Neighbours are joined.
    if (last?.document === document && last.end === at) stretches.pop();
    stretches.push({
      document,
      begin: last?.document === document && last.end === at ? last.begin : at,
      end: at + PIECE_BYTES,
    });
  }
  return stretches;
}

/** The last bytes of the training part, as documents. */
export function lastOfTable(stored: Stored, count: number): Promise<Document[]> {
  const { table } = stored;
  const stretches: Stretch[] = [];
  for (let document = table.length - 1, left = count; document >= 0 && left > 0; document--) {
    const { cut } = table.row(document);
    if (cut === 0) continue;
    stretches.push({ document, begin: Math.max(0, cut - left), end: cut });
    left -= cut;
  }
  return read(stored, 'train', stretches.reverse(), false);
}

/** @param wholeCharacters move both ends behind a character that they would divide */
async function read(
  stored: Stored,
  side: Side,
  stretches: readonly Stretch[],
  wholeCharacters = true,
): Promise<Document[]> {
  const parts = stretches.map((stretch) => ({ ...stretch, part: bounds(stored.table, stretch.document, side) }));
  const ranges = parts.map(({ document, begin, end, part: [from, to] }) => ({
    document,
    from: from + begin,
    to: Math.min(to, from + end + LONGEST_CONTINUATION),
  }));
  return (await fetchRanges(stored, ranges)).map((bytes, i) => {
    const { document, begin, end, part } = parts[i];
    const length = part[1] - part[0];
    const moved = (at: number): number =>
      wholeCharacters
        ? atCharacterStart((index) => bytes[index - begin], length, Math.min(at, length))
        : Math.min(at, length);
    const [from, to] = [moved(begin), moved(end)];
    const { file, ordinal } = stored.table.row(document);
    const name = documentName(stored.files[file].path, ordinal === 0 ? null : ordinal);
    const excerpt = from === 0 && to === length ? name : `${name} (bytes ${from} to ${to - 1})`;
    return { name: excerpt, bytes: bytes.subarray(from - begin, to - begin) };
  });
}
