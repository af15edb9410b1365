/**
 * @file The documents of a corpus that stays on disk, as a table that is on disk too: 64 bytes for each, whatever its size. A few pages of
 * it are in memory, so that memory does not grow with the number of documents.
 */
import { closeSync, mkdirSync, openSync, readSync, rmdirSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { reason, UserError } from '../terminal/errors.ts';

/** One document: where it is, and what is known of its bytes. */
export interface Row {
  /** Number of the file that holds it. */
  readonly file: number;
  /** Its place in the file: line, row or entry. */
  readonly ordinal: number;
  /** Byte of the file at which it begins, for files that are read from any place. */
  readonly start: number;
  /** Bytes of the document. */
  readonly size: number;
  /** SHA-256 of them. */
  readonly sha256: Uint8Array;
  /** Bytes before this one are trained on, the others are held out. NaN until that is known. */
  readonly cut: number;
}

const ROW_BYTES = 64;
const PAGE_ROWS = 4096;
const PAGE_BYTES = ROW_BYTES * PAGE_ROWS;
/** Pages in memory: 8 MiB. */
const CACHED_PAGES = 32;

interface Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  dirty: boolean;
}

/** A table of documents in a file that has no name: it is gone when the process is, however that ends. */
export class DocumentTable {
  /** Rows of a page: whoever goes through the table page by page reads each page once. */
  static readonly pageRows = PAGE_ROWS;
  private readonly descriptor: number;
  private readonly leftover: string | null;
  private readonly pages = new Map<number, Page>();
  private rows = 0;

  /** @param folder in which the file is made @throws UserError */
  constructor(folder: string) {
    const path = join(folder, `.documents-${process.pid}-${Math.random().toString(36).slice(2)}`);
    let made = false;
    try {
      made = mkdirSync(folder, { recursive: true }) !== undefined;
      this.descriptor = openSync(path, 'wx+', 0o600);
    } catch (error) {
      throw new UserError(`cannot write the list of documents into ${folder}: ${reason(error)}`, 1, { cause: error });
    }
    this.leftover = unlinked(path) ? null : path;
    // A run that comes to nothing leaves nothing.
    if (made && !this.leftover) rmdirSync(folder);
  }

  get length(): number {
    return this.rows;
  }

  /** Puts a row at the end. */
  add({ file, ordinal, start, size, sha256, cut }: Row): void {
    const { page, at } = this.place(this.rows++);
    page.view.setUint32(at, file, true);
    page.view.setUint32(at + 4, ordinal, true);
    page.view.setFloat64(at + 8, start, true);
    page.view.setFloat64(at + 16, size, true);
    page.view.setFloat64(at + 24, cut, true);
    page.bytes.set(sha256, at + 32);
    page.dirty = true;
  }

  row(i: number): Row {
    const { page, at } = this.place(i);
    const { view, bytes } = page;
    return {
      file: view.getUint32(at, true),
      ordinal: view.getUint32(at + 4, true),
      start: view.getFloat64(at + 8, true),
      size: view.getFloat64(at + 16, true),
      cut: view.getFloat64(at + 24, true),
      sha256: bytes.slice(at + 32, at + 64),
    };
  }

  /** Forgets the rows from number `length` on. */
  truncate(length: number): void {
    this.rows = length;
  }

  /** All rows in order. */
  *all(): Generator<Row> {
    for (let i = 0; i < this.rows; i++) yield this.row(i);
  }

  /** Bytes of document i before this one are trained on. */
  setCut(i: number, cut: number): void {
    const { page, at } = this.place(i);
    page.view.setFloat64(at + 24, cut, true);
    page.dirty = true;
  }

  close(): void {
    closeSync(this.descriptor);
    if (this.leftover) rmSync(this.leftover, { force: true });
  }

  private place(i: number): { page: Page; at: number } {
    return { page: this.page(Math.floor(i / PAGE_ROWS)), at: (i % PAGE_ROWS) * ROW_BYTES };
  }

  private page(number: number): Page {
    let page = this.pages.get(number);
    if (page) {
      // The order of the map is that of the last use.
      this.pages.delete(number);
    } else {
      if (this.pages.size >= CACHED_PAGES) this.evict();
      const bytes = new Uint8Array(PAGE_BYTES);
      readSync(this.descriptor, bytes, 0, PAGE_BYTES, number * PAGE_BYTES);
      page = { bytes, view: new DataView(bytes.buffer), dirty: false };
    }
    this.pages.set(number, page);
    return page;
  }

  private evict(): void {
    const [[number, page]] = this.pages;
    if (page.dirty) {
      try {
        writeSync(this.descriptor, page.bytes, 0, PAGE_BYTES, number * PAGE_BYTES);
      } catch (error) {
        throw new UserError(`cannot write the list of documents: ${reason(error)}`, 1, { cause: error });
      }
    }
    this.pages.delete(number);
  }
}

/** Takes a file's name away while it is open. False where the system does not allow that. */
function unlinked(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}
