/** @file A corpus filtered: the files or lines that a model expects, in a new folder that is there whole or not at all. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, normalize, resolve, sep } from 'node:path';
import { isCompressedName, unpackedName } from '../data/packed.ts';
import { writeFully } from '../files/write-model-folder.ts';
import { reason, UserError } from '../terminal/errors.ts';
import type { Text } from './texts.ts';

const ON_WINDOWS = sep === '\\';

/**
 * Where a text comes to lie: its path without what leads out of the folder. A text that was unpacked loses the ending of what is packed,
 * because by that it would be unpacked again when it is read.
 * @param raw the text is the file as it is
 */
export function keptPath(source: string, raw = false): string {
  const parts = normalize(source)
    .split(ON_WINDOWS ? /[\\/]/ : '/')
    .filter((part) => part !== '' && part !== '..' && part !== '.' && !(ON_WINDOWS && /^[A-Za-z]:$/.test(part)));
  const last = parts.pop() ?? '';
  const plain = !raw && isCompressedName(last) ? unpackedName(last) : last;
  return [...parts, plain || last].join(sep);
}

/** A folder under a temporary name, to which kept texts are appended. */
export class KeptTexts {
  private readonly folder: string;
  private readonly temporary: string;
  private readonly raw: boolean;
  private readonly sources = new Map<string, string>();
  private open: { readonly path: string; readonly descriptor: number; at: number } | null = null;
  texts = 0;
  bytes = 0;

  /** @param raw texts are files as they are   @throws UserError if the folder exists, or cannot be made */
  constructor(folder: string, raw = false) {
    this.raw = raw;
    this.folder = resolve(folder);
    this.temporary = join(dirname(this.folder), `.${basename(this.folder)}.tmp-${process.pid}`);
    if (existsSync(this.folder)) throw new UserError(`${folder} exists already; give a new folder with --out`, 2);
    this.doing(() => {
      rmSync(this.temporary, { recursive: true, force: true });
      mkdirSync(this.temporary, { recursive: true });
    });
  }

  /** Appends a line to the file of its name, or writes a file. @throws UserError for two files that would have one name */
  add({ source, line, bytes }: Text): void {
    const path = join(this.temporary, keptPath(source, this.raw));
    const other = this.sources.get(path);
    if (other !== undefined && (other !== source || line === null || this.open?.path !== path)) {
      const given = other === source ? `${source} is given twice` : `${other} and ${source} would become one file`;
      throw new UserError(`${given} in ${this.folder}; score them one after the other, each with its own --out`, 2);
    }
    this.doing(() => {
      if (this.open?.path !== path) {
        this.close();
        mkdirSync(dirname(path), { recursive: true });
        this.open = { path, descriptor: openSync(path, 'wx'), at: 0 };
        this.sources.set(path, source);
      }
      const { open } = this;
      writeFully(open!.descriptor, bytes, open!.at);
      open!.at += bytes.length;
    });
    this.texts++;
    this.bytes += bytes.length;
  }

  /** Gives the folder its name. */
  finish(): void {
    this.doing(() => {
      this.close();
      renameSync(this.temporary, this.folder);
    });
  }

  /** Removes what was written, if the folder has not got its name. */
  discard(): void {
    this.close();
    rmSync(this.temporary, { recursive: true, force: true });
  }

  private close(): void {
    if (this.open) closeSync(this.open.descriptor);
    this.open = null;
  }

  private doing(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw new UserError(`cannot write ${this.folder}: ${reason(error)}`, 1, { cause: error });
    }
  }
}
