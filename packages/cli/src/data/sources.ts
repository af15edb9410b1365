import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { errorCode, reason, UserError } from '../errors.ts';
import { didYouMean } from '../nearest-name.ts';
import { type Document, totalBytes } from './document.ts';
import { isGlob } from './glob.ts';
import { parseJsonl } from './jsonl.ts';
import { mobyDick } from './moby-dick.ts';
import { gunzipBytes, readBytes } from './read-file.ts';
import { expandGlob, walkFolder } from './walk.ts';

export interface SourceOptions {
  /** Field of .jsonl objects that holds the text; otherwise the first of text, content, body. */
  textField?: string;
  /** Fewest bytes that are any use; less is an error. Default 2: one byte to read, one to predict. */
  minBytes?: number;
  /** Most bytes one .gz may become; see `gunzipLimit` for the default. */
  maxGunzipBytes?: number;
  /** What `-` reads. Default process.stdin. */
  stdin?: AsyncIterable<Uint8Array | string>;
  /** Called with one sentence for each thing that was skipped or looks wrong. */
  warn?: (message: string) => void;
}

/** Suffixes of compressed or columnar files that are taken as raw bytes, which is rarely what was meant. */
const PACKED = /\.(zst|xz|bz2|zip|7z|rar|tgz|parquet|arrow)$/i;

/**
 * Turns `--data` arguments into documents, in the order given. Each may be a file, a folder (every file under it), a pattern
 * (`books/**\/*.txt`), or `-` for standard input. `.jsonl` gives one document a line, `.gz` is decompressed, anything else is used
 * byte for byte. Without arguments: the 135 chapters of Moby Dick. A file reached twice is used once; empty documents are dropped.
 * @throws UserError in one sentence: not found, unreadable, no files, nothing matches, or all empty
 */
export async function loadDocuments(sources: readonly string[], options: SourceOptions = {}): Promise<Document[]> {
  if (sources.length === 0) return mobyDick();
  const warn = options.warn ?? (() => {});
  const seen = new Set<string>();
  const documents: Document[] = [];
  for (const source of sources) {
    if (source === '-') {
      if (seen.has('-')) throw new UserError("standard input can be read once; give '-' a single time", 2);
      seen.add('-');
      documents.push({ name: 'stdin', bytes: await readStdin(options) });
      continue;
    }
    for (const path of await resolveSource(source)) {
      const real = await realpath(path).catch(() => path);
      if (seen.has(real)) warn(`${path} is given twice; used once`);
      else documents.push(...(await loadFile(path, options)));
      seen.add(real);
    }
  }
  return withoutEmpty(documents, sources, options);
}

/** The files that one argument stands for. */
async function resolveSource(source: string): Promise<string[]> {
  if (source === '') throw new UserError('--data is empty; give a file, a folder, a pattern or -', 2);
  try {
    const info = await stat(source).catch((error) => {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw error;
    });
    // A path that exists is taken literally, whatever characters its name has.
    if (info?.isDirectory()) {
      const files = await walkFolder(source);
      if (files.length === 0) {
        throw new UserError(
          `the folder '${source}' holds no files (hidden names and node_modules are skipped); name the files`,
        );
      }
      return files;
    }
    if (info) return [source];
    if (isGlob(source)) {
      const files = await expandGlob(source);
      if (files.length === 0) throw new UserError(`no file matches '${source}'`);
      return files;
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (error instanceof RangeError) throw new UserError(`cannot use the pattern '${source}': ${error.message}`, 2);
    throw cannotRead(pathOf(error) ?? source, error);
  }
  throw await notFound(source);
}

/** Says which part of the path is missing, and the name beside it that was probably meant. */
async function notFound(source: string): Promise<UserError> {
  let missing = source;
  let parent = dirname(source);
  while (parent !== dirname(parent) && !(await stat(parent).catch(() => undefined))) {
    missing = parent;
    parent = dirname(parent);
  }
  const neighbours = await readdir(parent).catch(() => []);
  const hint = didYouMean(basename(missing), neighbours);
  const where = parent === '.' ? 'here' : `in '${parent}'`;
  return new UserError(`cannot find '${source}': there is no '${basename(missing)}' ${where}${hint}`);
}

async function loadFile(path: string, options: SourceOptions): Promise<Document[]> {
  let bytes: Uint8Array;
  try {
    bytes = await readBytes(path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw cannotRead(path, error);
  }
  let name = path;
  if (/\.gz$/i.test(name)) {
    bytes = await gunzipBytes(bytes, path, options.maxGunzipBytes);
    name = name.slice(0, -'.gz'.length);
  }
  // An empty .jsonl falls through so that it is reported like any other empty file.
  if (/\.(jsonl|ndjson)$/i.test(name) && bytes.length > 0) return parseJsonl(bytes, path, options.textField);
  if (PACKED.test(name)) options.warn?.(`${path} looks packed; its bytes are used as they are (only .gz is unpacked)`);
  return [{ name: path, bytes }];
}

async function readStdin(options: SourceOptions): Promise<Uint8Array> {
  if (!options.stdin && process.stdin.isTTY) options.warn?.('reading data from the terminal; end it with Ctrl-D');
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of options.stdin ?? process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  } catch (error) {
    throw cannotRead('standard input', error);
  }
  const all = Buffer.concat(chunks);
  return new Uint8Array(all.buffer, all.byteOffset, all.byteLength);
}

/** How many skipped documents are named one by one before the rest is only counted. */
const NAMED_WARNINGS = 3;

function withoutEmpty(documents: Document[], sources: readonly string[], options: SourceOptions): Document[] {
  const minBytes = options.minBytes ?? 2;
  const kept = documents.filter(({ bytes }) => bytes.length > 0);
  const empty = documents.filter(({ bytes }) => bytes.length === 0);
  const total = totalBytes(kept);
  if (total < minBytes) {
    const what = sources.map((source) => (source === '-' ? 'standard input' : source)).join(', ');
    const are = sources.length === 1 ? 'is' : 'are';
    const state =
      total === 0 ? `${are} empty (0 bytes)` : `${are} too short (${total} ${total === 1 ? 'byte' : 'bytes'})`;
    throw new UserError(`${what} ${state}; give at least ${minBytes} bytes`);
  }
  for (const { name } of empty.slice(0, NAMED_WARNINGS)) options.warn?.(`${name} is empty (0 bytes); skipped`);
  if (empty.length > NAMED_WARNINGS)
    options.warn?.(`${empty.length - NAMED_WARNINGS} more empty documents were skipped`);
  return kept;
}

function pathOf(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}

function cannotRead(path: string, error: unknown): UserError {
  return new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });
}
