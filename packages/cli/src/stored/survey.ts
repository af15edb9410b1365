/** @file The one pass over data that stay on disk: it counts and hashes every document, and tells how far it has come. */
import { createHash, type Hash, hash } from 'node:crypto';
import { statSync } from 'node:fs';
import { pathName } from '../data/file-path.ts';
import { holdsNothing } from '../data/packed.ts';
import { cannotRead, resolveSource, skipped } from '../data/resolve.ts';
import { checkNotEmpty, isUtf16, tallyEmpty, utf16 } from '../data/sources.ts';
import type { Tally } from '../data/tally.ts';
import { isPassedOver } from '../data/walk.ts';
import { sortedByName } from '../files/name-order.ts';
import { UserError } from '../terminal/errors.ts';
import type { DocumentTable, Row } from './document-table.ts';
import type { Piece } from './piece.ts';
import { documentName, piecesOf, type ReadingOptions, type SourceFile } from './pieces.ts';
import { Tail } from './tail.ts';

/** How far a survey is. */
export interface SurveyProgress {
  /** Bytes of files read, and of all of them. */
  readonly done: number;
  readonly total: number;
  /** Documents seen so far, the one that is being read among them. */
  readonly documents: number;
}

/** Milliseconds between two reports. */
const PROGRESS_MS = 200;
/** Bytes of the first documents that are kept, for a rehearsal. */
const HEAD_BYTES = 2 ** 18;
/** Most entries of an archive, whose names are in memory while it is read. */
const MOST_ENTRIES = 1_000_000;

/** The files behind the arguments of --data. @throws UserError as `loadDocuments` */
export async function sourceFiles(sources: readonly string[], tally: Tally): Promise<SourceFile[]> {
  const seen = new Set<string>();
  const files: SourceFile[] = [];
  for (const source of sources) {
    const { files: found, isNamed } = await resolveSource(source, (kind, path, error) => {
      tally.add('more files or folders were skipped', skipped(kind, path, error));
    });
    for (const { path, key } of found) {
      if (seen.has(key)) {
        tally.add('more files were given twice; used once', `${pathName(path)} is given twice; used once`);
        continue;
      }
      seen.add(key);
      try {
        files.push({ path, size: statSync(path).size, isFound: !isNamed });
      } catch (error) {
        if (isNamed || !isPassedOver(error)) throw cannotRead(path, error);
        tally.add('more files or folders were skipped', skipped('unreadable', path, error));
      }
    }
  }
  return files;
}

/** Goes through files and puts their documents into a table. */
export class Survey {
  /** The first documents, 256 KiB of them. */
  readonly head: Uint8Array[] = [];
  /** The sentence about the first file of those read last that has no document in it. */
  hollow: string | undefined;
  private headBytes = 0;
  private done = 0;
  private nextProgress = 0;
  private readonly table: DocumentTable;
  private readonly files: readonly SourceFile[];
  private readonly options: ReadingOptions;
  private readonly tally: Tally;

  constructor(table: DocumentTable, files: readonly SourceFile[], options: ReadingOptions, tally: Tally) {
    this.table = table;
    this.files = files;
    this.options = options;
    this.tally = tally;
  }

  /**
   * Reads files first .. end-1.
   * @param side of every document as a whole, or how it may be cut: see `Tail`
   * @throws UserError naming the first file that cannot be read
   */
  async *read(first: number, end: number, side: Side): AsyncGenerator<SurveyProgress, void> {
    this.hollow = undefined;
    const total = this.files.reduce((n, { size }) => n + size, 0);
    for (let file = first; file < end; file++) {
      const { path, size, isFound } = this.files[file];
      const before = this.table.length;
      let documents = 0;
      const reader = new FileSurvey(file, side, {
        add: (row, label) => {
          documents++;
          if (row.size === 0) tallyEmpty(this.tally, documentName(path, label));
          else this.table.add(row);
        },
        utf16: (label) => this.tally.add('more look like UTF-16', utf16(documentName(path, label))),
      });
      try {
        let read = 0;
        for await (const pieces of piecesOf(this.files[file], this.options)) {
          for (const piece of pieces) {
            read += piece.bytes.length;
            this.remember(piece);
            reader.take(piece);
          }
          if (performance.now() < this.nextProgress) continue;
          this.nextProgress = performance.now() + PROGRESS_MS;
          yield { done: this.done + Math.min(size, read), total, documents: before + reader.begun };
        }
        reader.end(pathName(path));
        if (documents === 0 && size > 0) {
          const said = holdsNothing(pathName(path));
          this.hollow ??= said;
          this.tally.add('more files without documents were skipped', `${said}; skipped`);
        }
      } catch (error) {
        if (error instanceof UserError) throw error;
        if (!isFound || !isPassedOver(error)) throw cannotRead(path, error);
        this.table.truncate(before);
        this.tally.add('more files or folders were skipped', skipped('unreadable', path, error));
      }
      this.done += size;
    }
  }

  private remember({ bytes, isFirst }: Piece): void {
    if (this.headBytes >= HEAD_BYTES || bytes.length === 0) return;
    const kept = bytes.slice(0, HEAD_BYTES - this.headBytes);
    this.headBytes += kept.length;
    if (isFirst || this.head.length === 0) this.head.push(kept);
  }
}

/** Where documents go: each as a whole to one side, or with the given share of its end held out. */
type Side = 'train' | 'heldOut' | { readonly tails: number };

/** Told of the documents of a file. */
interface Found {
  add(row: Row, label: Piece['label']): void;
  /** A document looks like UTF-16. */
  utf16(label: Piece['label']): void;
}

/** The documents of one file, hashed as their pieces come. */
class FileSurvey {
  /** Documents that have begun and are not empty. */
  begun = 0;
  private hash: Hash | null = null;
  private tail: Tail | null = null;
  private size = 0;
  /** Files of an archive, by their paths. The last of a name counts, and they come in the order of a folder. */
  private readonly entries = new Map<string, Row>();
  private readonly file: number;
  private readonly side: Side;
  private readonly found: Found;

  constructor(file: number, side: Side, found: Found) {
    this.file = file;
    this.side = side;
    this.found = found;
  }

  take({ ordinal, label, start, size, bytes, isFirst, isLast }: Piece): void {
    if (isFirst) {
      this.size = 0;
      this.tail = typeof this.side === 'object' && size !== null ? new Tail(size, this.side.tails) : null;
      this.hash = isLast ? null : createHash('sha256');
      if (isUtf16(bytes)) this.found.utf16(label);
    }
    if (this.size === 0 && bytes.length > 0) this.begun++;
    this.tail?.take(bytes, this.size);
    this.size += bytes.length;
    this.hash?.update(bytes);
    if (!isLast) return;
    const sha256 = this.hash ? this.hash.digest() : hash('sha256', bytes, 'buffer');
    const row = { file: this.file, ordinal, start, size: this.size, sha256, cut: this.cut() };
    if (typeof label !== 'string') this.found.add(row, label);
    else this.entries.set(label, row);
  }

  private cut(): number {
    if (this.side === 'train') return this.size;
    return this.side === 'heldOut' ? 0 : (this.tail?.cut() ?? Number.NaN);
  }

  /** @throws UserError if an archive holds more files than can be sorted */
  end(name: string): void {
    if (this.entries.size > MOST_ENTRIES) {
      throw new UserError(
        `${name} holds ${this.entries.size} files, and at most ${MOST_ENTRIES} of an archive are read in place; unpack it yourself`,
      );
    }
    for (const path of sortedByName([...this.entries.keys()], (path) => path)) {
      this.found.add(this.entries.get(path)!, path);
    }
  }
}

/**
 * @param hollow of the survey
 * @param first the row from which on documents count
 * @throws UserError if there is next to nothing
 */
export function checkSurvey(
  table: DocumentTable,
  sources: readonly string[],
  { hollow }: Pick<Survey, 'hollow'>,
  first = 0,
): void {
  let total = 0;
  for (let i = first; i < table.length && total < 2; i++) total += table.row(i).size;
  checkNotEmpty(total, sources, undefined, hollow);
}
