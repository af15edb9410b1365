/** @file Paths of files whose names may not be UTF-8. */
/**
 * A path as the operating system has it. Linux names are bytes: one that is not UTF-8 (`caf\xe9.txt`) can only be opened by its
 * bytes, so it stays a Buffer. All others are strings.
 */
import { join } from 'node:path';
import { printable } from '../terminal/byte-labels.ts';

export type FilePath = string | Buffer;

/** `name` in `folder`; bytes as soon as either is bytes. */
export function joinPath(folder: FilePath, name: FilePath): FilePath {
  if (typeof folder === 'string' && typeof name === 'string') return join(folder, name);
  const separator = folder.length === 0 || folder.toString('latin1').endsWith('/') ? '' : '/';
  return Buffer.concat([Buffer.from(folder), Buffer.from(separator), Buffer.from(name)]);
}

/** The path in messages and as the name of a document: bytes that are no UTF-8 are shown as `\xe9`. */
export const pathName = (path: FilePath): string => (typeof path === 'string' ? path : printable(path));

/** Equal for equal paths alone, also where two names look the same. */
export const pathKey = (path: FilePath): string => (typeof path === 'string' ? path : `\0${path.toString('latin1')}`);
