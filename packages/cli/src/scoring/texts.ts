/** @file The texts that `blt score` gives figures to, in groups that are computed together: files, or lines as they come. */
import { refusePacked } from '../data/packed.ts';
import { loadDocuments, stdinTwice } from '../data/sources.ts';
import { UserError } from '../terminal/errors.ts';
import { LineSplitter } from './lines.ts';

/** A file or a line. */
export interface Text {
  readonly source: string;
  /** Counted from 1; null for a whole file. */
  readonly line: number | null;
  readonly bytes: Uint8Array;
}

/** How texts are found. */
export interface TextOptions {
  readonly lines: boolean;
  /** Shorter texts are left out. */
  readonly minBytes: number;
  readonly textField?: string;
  readonly raw?: boolean;
  readonly warn: (message: string) => void;
  /** Called for each of several files that cannot be read. */
  readonly refused: (message: string) => void;
  /** The stream that `-` reads. Default process.stdin. */
  readonly stdin?: AsyncIterable<Uint8Array | string>;
}

/** Bytes scored together. */
const GROUP_BYTES = 2 ** 16;

/**
 * The texts of files, folders, patterns and `-`, in their order. Lines of standard input are given as soon as they have come, so that a
 * log can be followed. Everything else is read one argument at a time.
 */
export async function* textGroups(files: readonly string[], options: TextOptions): AsyncGenerator<Text[]> {
  if (!options.lines) {
    yield* grouped(wholeFiles(await loadDocuments(files, { ...options, minBytes: 1 })), options.minBytes);
    return;
  }
  if (files.filter((file) => file === '-').length > 1) throw stdinTwice();
  const seen = new Set<string>();
  for (const file of files) {
    if (file === '-') {
      yield* linesOfStdin(options);
      continue;
    }
    for (const { name, bytes } of await documentsOf(file, files.length, { ...options, seen })) {
      yield* grouped(linesOf(name, bytes), options.minBytes);
    }
  }
}

/** The documents of one of several files; none if it cannot be read. */
async function documentsOf(file: string, of: number, options: TextOptions & { readonly seen: Set<string> }) {
  try {
    return await loadDocuments([file], { ...options, minBytes: of === 1 ? 1 : 0 });
  } catch (error) {
    if (of === 1 || !(error instanceof UserError) || error.exitCode === 2) throw error;
    options.refused(error.message);
    return [];
  }
}

function* wholeFiles(documents: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Generator<Text> {
  for (const { name, bytes } of documents) yield { source: name, line: null, bytes };
}

function* linesOf(source: string, bytes: Uint8Array): Generator<Text> {
  let line = 1;
  for (let from = 0; from < bytes.length; line++) {
    const found = bytes.indexOf(10, from);
    const end = found < 0 ? bytes.length : found + 1;
    yield { source, line, bytes: bytes.subarray(from, end) };
    from = end;
  }
}

async function* linesOfStdin({ stdin = process.stdin, raw, minBytes }: TextOptions): AsyncGenerator<Text[]> {
  const splitter = new LineSplitter('standard input');
  let line = 1;
  const numbered = (lines: readonly Uint8Array[]): Text[] =>
    lines.map((bytes) => ({ source: 'stdin', line: line++, bytes }));
  let isFirst = true;
  for await (const chunk of stdin) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (isFirst && !raw) refusePacked('stdin', bytes);
    isFirst = false;
    yield* grouped(numbered(splitter.push(bytes)), minBytes);
  }
  yield* grouped(numbered(splitter.end()), minBytes);
}

/** Texts in groups of about `GROUP_BYTES`. */
function* grouped(texts: Iterable<Text>, minBytes: number): Generator<Text[]> {
  let group: Text[] = [];
  let size = 0;
  for (const text of texts) {
    if (text.bytes.length < minBytes) continue;
    group.push(text);
    size += text.bytes.length;
    if (size < GROUP_BYTES) continue;
    yield group;
    group = [];
    size = 0;
  }
  if (group.length > 0) yield group;
}
