/**
 * @file The documents of one file of any kind, piece by piece, so that neither a large file nor a large document is in memory. Files are
 * read as data/sources.ts reads them: the same documents with the same bytes.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type FilePath, pathName } from '../data/file-path.ts';
import { GUNZIP_FREE_BYTES, gunzip, MAX_GUNZIP_RATIO } from '../data/gunzip.ts';
import { LineReader, tooLong } from '../data/jsonl.ts';
import {
  isCompressedName,
  isGzipName,
  isJsonlName,
  isParquetName,
  isTarName,
  refusePacked,
  unpackedName,
} from '../data/packed.ts';
import { parquetTexts } from '../data/parquet.ts';
import { unzstd } from '../data/zstd.ts';
import { UserError } from '../terminal/errors.ts';
import { breathing } from '../threads/breathing.ts';
import type { Piece } from './piece.ts';
import { tarPieces } from './tar-pieces.ts';

/** A file among the data. */
export interface SourceFile {
  readonly path: FilePath;
  readonly size: number;
  /** It was found in a folder or by a pattern, not named. */
  readonly isFound: boolean;
  /** Byte from which it is read, the start of a line of .jsonl. Default: its start. */
  readonly from?: number;
  /** Bytes of the first read, where little is wanted: later ones are larger. Default: a chunk. */
  readonly first?: number;
}

/** How files are read. */
export interface ReadingOptions {
  readonly textField?: string;
  readonly raw?: boolean;
}

const CHUNK_BYTES = 2 ** 20;
/** One call reads no more, because Node refuses to read 2 GiB at once. */
const MOST_READ_BYTES = 2 ** 30;
/** A line is in memory as a whole. */
const MOST_LINE_BYTES = 2 ** 26;

/** True for files whose documents are read where they are, without what comes before them. */
export const isDirect = (path: FilePath, { raw }: ReadingOptions): boolean => {
  const name = pathName(path);
  return raw === true || !(isCompressedName(name) || isTarName(name) || isParquetName(name));
};

/** The name of a document in messages. */
export const documentName = (path: FilePath, label: Piece['label']): string =>
  label === null ? pathName(path) : `${pathName(path)}:${label}`;

/** All documents of a file. Groups of pieces share a buffer that is good until the next group. @throws UserError naming what is wrong */
export async function* piecesOf(file: SourceFile, options: ReadingOptions): AsyncGenerator<readonly Piece[]> {
  const name = pathName(file.path);
  if (options.raw) return yield* wholeFile(fileChunks(file, true), () => {});
  if (isParquetName(name)) return yield* parquetPieces(file, options);
  // The parser of archives keeps what it was given.
  if (!isCompressedName(name)) return yield* byName(fileChunks(file, !isTarName(name)), name, name, file, options);
  const inner = unpackedName(name);
  if (isCompressedName(inner)) throw new UserError(`${name} is compressed twice; decompress it once yourself`);
  if (isParquetName(inner)) throw new UserError(`${name} is a compressed Parquet file; decompress it yourself`);
  const limit = growthLimit(file);
  const unpacked = isGzipName(name)
    ? gunzip(fileChunks(file, false), name, limit)
    : unzstd(fileChunks(file, false), name, limit);
  yield* byName(unpacked, inner, name, file, options);
}

/** Nothing is held: there is no limit but the ratio. */
const growthLimit = ({ size }: SourceFile): number => Math.max(GUNZIP_FREE_BYTES, MAX_GUNZIP_RATIO * size);

/** @param kind a name whose end tells the kind */
function byName(
  chunks: AsyncIterable<Uint8Array>,
  kind: string,
  name: string,
  { isFound }: SourceFile,
  options: ReadingOptions,
): AsyncGenerator<readonly Piece[]> {
  if (isTarName(kind)) return tarPieces(chunks, name, isFound);
  if (isJsonlName(kind)) return linePieces(chunks, name, options.textField);
  return wholeFile(chunks, (first) => refusePacked(name, first, { isFound, inner: kind }));
}

/** The whole contents as one document. */
async function* wholeFile(
  chunks: AsyncIterable<Uint8Array>,
  check: (first: Uint8Array) => void,
): AsyncGenerator<readonly Piece[]> {
  const document = { ordinal: 0, label: null, start: 0, size: null };
  let isFirst = true;
  for await (const bytes of chunks) {
    if (isFirst) check(bytes);
    yield [{ ...document, bytes, isFirst, isLast: false }];
    isFirst = false;
  }
  yield [{ ...document, bytes: new Uint8Array(0), isFirst, isLast: true }];
}

/** A document that is there as a whole: a line or a row. */
const inOnePiece = (ordinal: number, bytes: Uint8Array): Piece => ({
  ...{ ordinal, label: ordinal, start: 0, size: bytes.length },
  ...{ bytes, isFirst: true, isLast: true },
});

/** The bytes that are still to be read, in one buffer that grows to what a line needs. */
class Held {
  length = 0;
  private buffer = new Uint8Array(0);

  /** All that is held, with more at its end. It is good until the next call. */
  with(more: Uint8Array): Uint8Array {
    const size = this.length + more.length;
    if (size > this.buffer.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(this.buffer.subarray(0, this.length));
      this.buffer = larger;
    }
    this.buffer.set(more, this.length);
    this.length = size;
    return this.buffer.subarray(0, size);
  }

  /** Lets the first bytes go. */
  drop(count: number): void {
    this.buffer.copyWithin(0, count, this.length);
    this.length -= count;
  }
}

/** Lines of JSON, each a document. */
async function* linePieces(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  textField?: string,
): AsyncGenerator<readonly Piece[]> {
  const reader = new LineReader(name, textField);
  const held = new Held();
  let [line, start] = [0, 0];
  const take = (bytes: Uint8Array, isCut: boolean, into: Piece[]): void => {
    const text = reader.text(bytes, ++line, isCut);
    if (text) into.push({ ...inOnePiece(line, text), start });
    start += bytes.length + 1;
  };
  for await (const chunk of chunks) {
    // Memory of the last group is used again. A collector that is asked for a megabyte at each chunk leaves a hundred of them.
    reader.reuse();
    const before = held.length;
    const bytes = held.with(chunk);
    const found: Piece[] = [];
    let from = 0;
    for (let end = bytes.indexOf(0x0a, before); end !== -1; end = bytes.indexOf(0x0a, from)) {
      take(bytes.subarray(from, end), false, found);
      from = end + 1;
    }
    held.drop(from);
    if (held.length > MOST_LINE_BYTES) throw tooLong(`${name} line ${line + 1}`, held.length, MOST_LINE_BYTES);
    yield found;
  }
  const last: Piece[] = [];
  if (held.length > 0) take(held.with(new Uint8Array(0)), true, last);
  yield last;
}

async function* parquetPieces(file: SourceFile, options: ReadingOptions): AsyncGenerator<readonly Piece[]> {
  const descriptor = openFile(file.path);
  try {
    const buffer = {
      byteLength: file.size,
      slice: (from: number, to = file.size) => readAt(descriptor, from, to).buffer as ArrayBuffer,
    };
    for await (const { firstRow, texts } of parquetTexts(buffer, pathName(file.path), {
      textField: options.textField,
      limit: growthLimit(file),
    })) {
      yield texts.map((bytes, i) => inOnePiece(firstRow + i + 1, bytes));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Opens a plain file, without waiting for the other end should a pipe have come into its place. */
export function openFile(path: FilePath): number {
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  if (fstatSync(descriptor).isFile()) return descriptor;
  closeSync(descriptor);
  throw Object.assign(new Error('it is no longer a plain file'), { code: 'ENXIO' });
}

/** Bytes from .. to-1 of an open file, fewer where it ends. */
export function readAt(descriptor: number, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, to - from));
  const filled = fillAt(descriptor, bytes, from);
  return filled === bytes.length ? bytes : bytes.slice(0, filled);
}

/** Reads from a place on, until `into` is full or the file ends. @returns the bytes read */
function fillAt(descriptor: number, into: Uint8Array, from: number): number {
  let filled = 0;
  while (filled < into.length) {
    const got = readSync(descriptor, into, filled, Math.min(into.length - filled, MOST_READ_BYTES), from + filled);
    if (got === 0) break;
    filled += got;
  }
  return filled;
}

/**
 * A file from its start. One that grows while it is read has the bytes that it had when it was found.
 * @param reuse one buffer for all chunks: each is good until the next is asked for. Clean memory for each takes more time than hashing it.
 */
async function* fileChunks(
  { path, size, from = 0, first = CHUNK_BYTES }: SourceFile,
  reuse: boolean,
): AsyncGenerator<Uint8Array> {
  const descriptor = openFile(path);
  try {
    // Files are read synchronously: between chunks Ctrl-C is to be heard.
    const breathe = breathing(50);
    let buffer = new Uint8Array(0);
    let most = Math.min(first, CHUNK_BYTES);
    for (let at = from; at < size; most = Math.min(4 * most, CHUNK_BYTES)) {
      if (!reuse || buffer.length < most) buffer = new Uint8Array(Buffer.allocUnsafeSlow(most).buffer);
      const got = fillAt(descriptor, buffer.subarray(0, Math.min(most, size - at)), at);
      if (got === 0) return;
      at += got;
      yield buffer.subarray(0, got);
      await breathe();
    }
  } finally {
    closeSync(descriptor);
  }
}
