/** @file The second look at data on disk: it reads the ranges of documents that somebody wants, each file at most once. */
import { closeSync } from 'node:fs';
import { pathName } from '../data/file-path.ts';
import { isJsonlName } from '../data/packed.ts';
import { cannotRead } from '../data/resolve.ts';
import { UserError } from '../terminal/errors.ts';
import type { DocumentTable, Row } from './document-table.ts';
import type { Piece } from './piece.ts';
import { isDirect, openFile, piecesOf, type ReadingOptions, readAt, type SourceFile } from './pieces.ts';

/** Bytes from .. to-1 of a document. */
export interface Range {
  /** Number of its row. */
  readonly document: number;
  readonly from: number;
  readonly to: number;
}

/** The files and documents of a corpus on disk. */
export interface Stored {
  readonly files: readonly SourceFile[];
  readonly table: DocumentTable;
  readonly reading: ReadingOptions;
}

interface Wanted extends Range {
  readonly row: Row;
  readonly bytes: Uint8Array;
  filled: number;
}

/** The bytes of ranges, in their order. @throws UserError if a file has changed since it was surveyed */
export async function fetchRanges(stored: Stored, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const wanted = ranges.map((range): Wanted => {
    return { ...range, row: stored.table.row(range.document), bytes: new Uint8Array(range.to - range.from), filled: 0 };
  });
  const byFile = new Map<number, Wanted[]>();
  for (const want of wanted) {
    const wants = byFile.get(want.row.file);
    if (wants) wants.push(want);
    else byFile.set(want.row.file, [want]);
  }
  for (const [number, wants] of byFile) {
    const file = stored.files[number];
    wants.sort((a, b) => a.row.ordinal - b.row.ordinal || a.from - b.from);
    try {
      if (isDirect(file.path, stored.reading) && !isLines(file, stored.reading)) fetchInPlace(file, wants);
      else if (isDirect(file.path, stored.reading)) await fetchLines(file, wants, stored.reading);
      else await fetchStreamed(piecesOf(file, stored.reading), wants);
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw cannotRead(file.path, error);
    }
    const short = wants.find(({ filled, bytes }) => filled !== bytes.length);
    if (short) throw changed(file);
  }
  return wanted.map(({ bytes }) => bytes);
}

const isLines = ({ path }: SourceFile, { raw }: ReadingOptions): boolean => raw !== true && isJsonlName(pathName(path));

const changed = ({ path }: SourceFile): UserError =>
  new UserError(`${pathName(path)} has changed while it was read; wait until it is whole, and start again`);

function fetchInPlace(file: SourceFile, wants: readonly Wanted[]): void {
  const descriptor = openFile(file.path);
  try {
    for (const want of wants) {
      const bytes = readAt(descriptor, want.from, want.to);
      want.bytes.set(bytes);
      want.filled = bytes.length;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Bytes of a line beside its text: the names of fields, and some that are short. */
const FIELD_BYTES = 512;

/** Each line where it is. Not much more than the line is read, because all lines that are read are parsed, and many lines may be wanted. */
async function fetchLines(file: SourceFile, wants: readonly Wanted[], reading: ReadingOptions): Promise<void> {
  for (const want of wants) {
    const first = Math.ceil(1.25 * want.row.size) + FIELD_BYTES;
    for await (const pieces of piecesOf({ ...file, from: want.row.start, first }, reading)) {
      if (pieces.length > 0) fill(want, pieces[0].bytes, 0);
      if (pieces.length > 0) break;
    }
  }
}

/** All that is wanted of a file that is read from its start. */
async function fetchStreamed(pieces: AsyncIterable<readonly Piece[]>, wants: readonly Wanted[]): Promise<void> {
  let [next, at] = [0, 0];
  for await (const group of pieces) {
    for (const { ordinal, bytes, isFirst } of group) {
      if (isFirst) at = 0;
      while (next < wants.length && isPast(wants[next], ordinal, at)) next++;
      for (let i = next; i < wants.length && wants[i].row.ordinal === ordinal; i++) fill(wants[i], bytes, at);
      at += bytes.length;
    }
    while (next < wants.length && wants[next].filled === wants[next].bytes.length) next++;
    if (next === wants.length) return;
  }
}

const isPast = ({ row, to }: Wanted, ordinal: number, at: number): boolean =>
  row.ordinal < ordinal || (row.ordinal === ordinal && to <= at);

/** Takes from bytes at .. of a document what is wanted of them. */
function fill(want: Wanted, bytes: Uint8Array, at: number): void {
  const [from, to] = [Math.max(want.from, at), Math.min(want.to, at + bytes.length)];
  if (from >= to) return;
  want.bytes.set(bytes.subarray(from - at, to - at), from - want.from);
  want.filled += to - from;
}
