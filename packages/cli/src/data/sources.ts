/** @file Documents from the arguments of --data: files, folders, patterns, archives, standard input. */
import { existsSync } from 'node:fs';
import { UserError } from '../terminal/errors.ts';
import { counted, humanBytes } from '../terminal/human-units.ts';
import { breathing } from '../threads/breathing.ts';
import { type Document, stretch, totalBytes } from './document.ts';
import { type FilePath, pathName } from './file-path.ts';
import { gunzipBytes, gunzipLimit, gunzipStart } from './gunzip.ts';
import { parseJsonl } from './jsonl.ts';
import { BOOK, mobyDick } from './moby-dick.ts';
import {
  holdsNothing,
  isCompressedName,
  isGzipName,
  isJsonlName,
  isParquetName,
  isTarName,
  isZstdName,
  refusePacked,
  unpackedName,
} from './packed.ts';
import { bufferOf, parquetTexts } from './parquet.ts';
import { fromStream, memoryBytes, type ReadOptions, readBytes } from './read-file.ts';
import { cannotRead, resolveSource, skipped } from './resolve.ts';
import { Tally } from './tally.ts';
import { tarFiles } from './tar.ts';
import { isPassedOver } from './walk.ts';
import { unzstdBytes } from './zstd.ts';

export interface SourceOptions {
  /** Field of .jsonl objects that holds the text; otherwise the first of text, content, body. */
  textField?: string;
  /** Every file byte for byte: nothing is unpacked, no .jsonl read by lines, no packed file refused. */
  raw?: boolean;
  /** Fewest bytes that are any use; less is an error. Default 2: one byte to read, one to predict. */
  minBytes?: number;
  /** Bytes of a document that are enough: it is cut there, and of a plain file or stream no more is read. */
  maxBytes?: number;
  /** Most bytes one .gz may become; see `gunzipLimit` for the default. */
  maxGunzipBytes?: number;
  /** Most bytes of a pipe or of standard input; see `maxStreamBytes` for the default. */
  maxStreamBytes?: number;
  /** Most bytes of all documents together. Default: the memory of the machine. */
  maxTotalBytes?: number;
  /** Say of each document which of the sources it came from. */
  numbered?: boolean;
  /** Real paths that were used before. Those of these sources are added. Default: none. */
  seen?: Set<string>;
  /** The stream that `-` reads. Default process.stdin. */
  stdin?: AsyncIterable<Uint8Array | string>;
  /** Called with one sentence for each thing that was skipped or looks wrong. */
  warn?: (message: string) => void;
  /** Called with a sentence for each of several arguments, and each file of a folder, that cannot be used. Default: the first one is thrown. */
  refused?: (message: string) => void;
}

/**
 * Turns `--data` arguments into documents, in the order given. Each may be a file, a folder (every file under it), a pattern
 * (`books/**\/*.txt`), or `-` for standard input. `.jsonl` gives one document a line, `.parquet` one a row, `.gz` and `.zst` are
 * decompressed, `.tar` (and `.tar.gz`, `.tgz`, `.tar.zst`) gives a document for every file in it, anything else is used byte for byte. Other packed formats are refused. Without
 * arguments, and for `@moby-dick`: the 135 chapters of Moby Dick. A file reached twice is used once; empty documents are dropped. What a folder or a
 * pattern gives and cannot be read (gone meanwhile, no permission) is skipped with a warning; what was named is an error.
 * @throws UserError in one sentence: not found, unreadable, packed, no files, nothing matches, too large, or all empty
 */
export async function loadDocuments(sources: readonly string[], options: SourceOptions = {}): Promise<Document[]> {
  if (sources.length === 0) return mobyDick();
  const loading = new Loading(options);
  const used: string[] = [];
  for (const [number, source] of sources.entries()) {
    try {
      await loading.add(source, number);
      used.push(source);
    } catch (error) {
      if (sources.length === 1 || !loading.refuses(error)) throw error;
    }
  }
  const { tally, documents, refused } = loading;
  const kept = refused > 0 && documents.length === 0 ? [] : withoutEmpty(loading, used, options);
  for (const { name, bytes } of kept) if (isUtf16(bytes)) tally.add('more look like UTF-16', utf16(name));
  tally.report(options.warn ?? (() => {}));
  return kept;
}

/** Documents of one argument after the other. */
class Loading {
  readonly tally = new Tally();
  readonly documents: Document[] = [];
  /** Arguments, and files in folders, that cannot be used. */
  refused = 0;
  /** The sentence about the first file that is not empty and has no document in it. */
  hollow: string | undefined;
  private readonly options: SourceOptions;
  private readonly limit: number;
  private readonly seen: Set<string>;
  private total = 0;
  private isFull = false;
  /** Files are read synchronously: between them Ctrl-C is to be heard. */
  private readonly breathe = breathing(50);

  constructor(options: SourceOptions) {
    this.options = options;
    this.seen = options.seen ?? new Set();
    this.limit = options.maxTotalBytes ?? memoryBytes();
  }

  /** Loads what an argument stands for. @param number which one it is */
  async add(source: string, number: number): Promise<void> {
    const { tally, seen, options } = this;
    if (source === BOOK && !existsSync(source)) {
      this.take(await mobyDick(), number);
      return;
    }
    if (source === '-') {
      if (seen.has('-')) throw stdinTwice();
      seen.add('-');
      this.take([await readStdin(options)], number);
      return;
    }
    const { files, isNamed } = await resolveSource(source, (kind, path, error) => {
      tally.add('more files or folders were skipped', skipped(kind, path, error));
    });
    for (const { path, key } of files) {
      if (seen.has(key)) {
        tally.add('more files were given twice; used once', `${pathName(path)} is given twice; used once`);
        continue;
      }
      seen.add(key);
      await this.breathe();
      try {
        const found = await loadFile(path, { ...options, onlyFiles: !isNamed });
        if (found.length === 0) this.addHollow(pathName(path));
        this.take(found, number);
      } catch (error) {
        if (!isNamed && this.refuses(error)) continue;
        if (error instanceof UserError) throw error;
        if (isNamed || !isPassedOver(error)) throw cannotRead(path, error);
        tally.add('more files or folders were skipped', skipped('unreadable', path, error));
      }
    }
  }

  private addHollow(name: string): void {
    this.hollow ??= holdsNothing(name);
    this.tally.add('more files without documents were skipped', `${holdsNothing(name)}; skipped`);
  }

  /** Whether the others have their turn after this error. It has been told then. */
  refuses(error: unknown): boolean {
    const { refused } = this.options;
    if (!refused || this.isFull || !(error instanceof UserError) || error.exitCode === 2) return false;
    refused(error.message);
    this.refused++;
    return true;
  }

  private take(taken: readonly Document[], source: number): void {
    for (const document of taken) {
      this.total += document.bytes.length;
      this.documents.push(this.options.numbered ? { ...document, source } : document);
    }
    this.isFull = this.total > this.limit;
    if (!this.isFull) return;
    const most = humanBytes(this.limit);
    throw new UserError(`the data have more than ${most}, the memory there is; give a part of them`);
  }
}

async function loadFile(path: FilePath, options: SourceOptions & ReadOptions): Promise<Document[]> {
  const name = pathName(path);
  const wholeNeeded =
    !options.raw && (isCompressedName(name) || isTarName(name) || isJsonlName(name) || isParquetName(name));
  const { bytes, size } = await readBytes(path, { ...options, most: wholeNeeded ? undefined : options.maxBytes });
  if (options.raw || !wholeNeeded) {
    if (!options.raw) refusePacked(name, bytes, { isFound: options.onlyFiles });
    return [size === bytes.length ? { name, bytes } : { name, bytes, cutFrom: size }];
  }
  return (await contents({ name, bytes }, name, options)).map((document) => cut(document, options.maxBytes));
}

/**
 * The documents in a file by its name: what is compressed is decompressed, an archive opened, lines of JSON read.
 * @param name decides; `file.name` is where it came from
 * @param inside of which archive, and how many bytes its files may still become
 */
async function contents(
  file: Document,
  name: string,
  options: SourceOptions & ReadOptions,
  inside?: { readonly archive: string; room: number },
): Promise<Document[]> {
  // An empty file of any kind is reported like any other empty file.
  if (file.bytes.length === 0) return [file];
  if (isCompressedName(name)) {
    const inner = unpackedName(name);
    const limit = inside ? inside.room : (options.maxGunzipBytes ?? gunzipLimit(file.bytes.length));
    const wantsStart =
      options.maxBytes !== undefined &&
      isGzipName(name) &&
      ![isTarName, isJsonlName, isParquetName].some((is) => is(inner));
    if (wantsStart) {
      const { bytes, size } = await gunzipStart(file.bytes, file.name, options.maxBytes!);
      refusePacked(file.name, bytes, { isFound: options.onlyFiles, inner });
      return [size === bytes.length ? { name: file.name, bytes } : { name: file.name, bytes, cutFrom: size }];
    }
    const unpacked = isZstdName(name) ? unzstdBytes : gunzipBytes;
    const bytes = await unpacked(file.bytes, file.name, limit);
    if (inside) inside.room -= bytes.length;
    if (isCompressedName(inner)) throw new UserError(`${file.name} is compressed twice; decompress it once yourself`);
    return contents({ name: file.name, bytes }, inner, options, inside);
  }
  if (isTarName(name)) {
    if (inside) throw new UserError(`${file.name} is an archive in an archive; unpack ${inside.archive} yourself`);
    const room = { archive: file.name, room: options.maxGunzipBytes ?? gunzipLimit(file.bytes.length) };
    const documents: Document[] = [];
    for (const one of await tarFiles(file.bytes, file.name)) {
      const where = `${file.name}:${one.name}`;
      for (const found of await contents({ name: where, bytes: one.bytes }, where, options, room))
        documents.push(found);
    }
    return documents;
  }
  if (isParquetName(name)) return rowsOf(file, options, inside?.room);
  if (isJsonlName(name)) return parseJsonl(file.bytes, file.name, options.textField);
  refusePacked(file.name, file.bytes, { isFound: options.onlyFiles, inner: name });
  return [file];
}

async function rowsOf({ name, bytes }: Document, options: SourceOptions, room?: number): Promise<Document[]> {
  const limit = room ?? options.maxGunzipBytes ?? gunzipLimit(bytes.length);
  const documents: Document[] = [];
  for await (const { firstRow, texts } of parquetTexts(bufferOf(bytes), name, {
    textField: options.textField,
    limit,
  })) {
    for (const [i, text] of texts.entries()) documents.push({ name: `${name}:${firstRow + i + 1}`, bytes: text });
  }
  return documents;
}

function cut(document: Document, most = Number.POSITIVE_INFINITY): Document {
  const { name, bytes } = document;
  return bytes.length <= most ? document : { ...stretch(document, name, 0, most), cutFrom: bytes.length };
}

async function readStdin(options: SourceOptions): Promise<Document> {
  if (!options.stdin && process.stdin.isTTY) options.warn?.('reading data from the terminal; end it with Ctrl-D');
  const { maxBytes: most, maxStreamBytes } = options;
  try {
    const { bytes, size } = await fromStream(options.stdin ?? process.stdin, 'standard input', {
      most,
      maxStreamBytes,
    });
    if (!options.raw) refusePacked('stdin', bytes);
    return size === null ? { name: 'stdin', bytes, cutFrom: null } : { name: 'stdin', bytes };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw cannotRead('standard input', error);
  }
}

/** The refusal of a second `-`. */
export const stdinTwice = (): UserError => new UserError("standard input can be read once; give '-' a single time", 2);

/**
 * @param hollow the sentence about a file without documents, if there is one
 * @throws UserError if all data together are too short to be any use
 */
export function checkNotEmpty(total: number, sources: readonly string[], minBytes = 2, hollow?: string): void {
  if (total >= minBytes) return;
  if (total === 0 && hollow !== undefined) throw new UserError(`${hollow}; give data with texts in them`);
  const what = sources.map((source) => (source === '-' ? 'standard input' : source)).join(', ');
  const are = sources.length === 1 ? 'is' : 'are';
  const state = total === 0 ? `${are} empty (0 bytes)` : `${are} too short (${counted(total, 'byte')})`;
  throw new UserError(`${what} ${state}; give at least ${minBytes} bytes`);
}

/** Tells of an empty document. */
export const tallyEmpty = (tally: Tally, name: string): void =>
  tally.add('more empty documents were skipped', `${name} is empty (0 bytes); skipped`);

function withoutEmpty(
  { documents, tally, hollow }: Loading,
  sources: readonly string[],
  { minBytes }: SourceOptions,
): Document[] {
  const kept = documents.filter(({ bytes }) => bytes.length > 0);
  checkNotEmpty(totalBytes(kept), sources, minBytes, hollow);
  for (const { name, bytes } of documents) if (bytes.length === 0) tallyEmpty(tally, name);
  return kept;
}

/** Whether a document begins like UTF-16. */
export const isUtf16 = ([a, b]: Uint8Array): boolean => (a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff);

/** The warning about such a document. */
export const utf16 = (name: string): string =>
  `${name} looks like UTF-16 (its first bytes say so); its bytes are used as they are, two for every letter; for UTF-8: iconv -f UTF-16 -t UTF-8`;
