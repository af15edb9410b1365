/** @file Small files that people write or fetch (configurations, indexes, records): read whole, with a bound on what is read. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';

/** Most bytes of a configuration, a shard index or a record. The index of a model of 400 billion weights has a hundredth of it. */
export const MAX_SMALL_BYTES = 16 * 1024 * 1024;

/** Levels of objects and lists. Ours have five; a reader that recurses dies of some thousands. */
const MAX_DEPTH = 100;

const PIECE = 64 * 1024;

/** The kind of a thing that is no regular file, in words. Null for a regular file. */
export function irregular(info: Pick<Stats, 'isFile' | 'isDirectory' | 'isFIFO' | 'isSocket'>): string | null {
  if (info.isFile()) return null;
  if (info.isDirectory()) return 'it is a folder';
  const what = info.isFIFO() ? 'pipe' : info.isSocket() ? 'socket' : 'device';
  return `it is a ${what}; give a regular file`;
}

/**
 * Opens a regular file for reading. A pipe is not waited for.
 * @returns its descriptor, which the caller closes
 * @throws Error saying in a few words what it is instead, or the system's own error
 */
export function openRegular(path: string | Buffer): { descriptor: number; info: Stats } {
  // Without O_NONBLOCK opening a pipe waits for a writer. Windows has neither.
  const descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const info = fstatSync(descriptor);
    const other = irregular(info);
    if (other !== null) throw new Error(other);
    return { descriptor, info };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** All text of a small UTF-8 file, without its byte order mark. @throws as {@link readSmallBytes} */
export const readSmallFile = (path: string | Buffer, cap = MAX_SMALL_BYTES): string =>
  textOf(readSmallBytes(path, cap));

/**
 * All bytes of a small file.
 * @param cap most bytes that are read, whatever size the file claims to have
 * @throws Error in a few words without the path, such as `it has more than 16.8 MB`; or the system's own error
 */
export function readSmallBytes(path: string | Buffer, cap = MAX_SMALL_BYTES): Uint8Array {
  const { descriptor } = openRegular(path);
  try {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const piece = new Uint8Array(Math.min(PIECE, cap + 1 - size));
      const count = readSync(descriptor, piece, 0, piece.length, size);
      if (count === 0) break;
      pieces.push(piece.subarray(0, count));
      size += count;
      if (size > cap) throw new Error(`it has more than ${humanBytes(cap)}, the most that is read of such a file`);
    }
    return Buffer.concat(pieces);
  } finally {
    closeSync(descriptor);
  }
}

/** UTF-8 as text, without its byte order mark. */
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/**
 * The value of a JSON text.
 * @param name of the file, for messages
 * @throws UserError `NAME is not JSON: ...`, also where objects and lists are nested more than 100 deep
 */
export function parseJson(text: string, name: string, exitCode: 1 | 2 = 1): unknown {
  const plain = text.replace(/^\uFEFF/, '');
  if (isDeep(plain)) {
    throw new UserError(
      `${name} is not usable JSON: its objects and lists are nested more than ${MAX_DEPTH} deep`,
      exitCode,
    );
  }
  try {
    return JSON.parse(plain);
  } catch (error) {
    throw new UserError(`${name} is not JSON: ${(error as Error).message}`, exitCode, { cause: error });
  }
}

/** Whether brackets outside strings are open more than MAX_DEPTH deep. */
function isDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (inString) {
      if (char === '\\') i++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') {
      if (++depth > MAX_DEPTH) return true;
    } else if (char === '}' || char === ']') depth--;
  }
  return false;
}
