/** @file manifest.json: size and SHA-256 of every file of a saved folder, so that damage by other hands or a bad disk is noticed. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { reason, UserError } from '../terminal/errors.ts';
import { openRegular, parseJson, readSmallFile } from './small-file.ts';

export const MANIFEST = 'manifest.json';

/** Size and SHA-256 of every file of a folder, by which damage is noticed. */
export interface Manifest {
  format: 1;
  files: Record<string, { bytes: number; sha256: string }>;
}

/** Bytes hashed at once. */
const PIECE = 4 * 1024 * 1024;

/** SHA-256 of a file in hex, read piece by piece. @throws the system's own error, or Error if it is no regular file */
export function fileSha256(path: string): string {
  const { descriptor } = openRegular(path);
  try {
    const hash = createHash('sha256');
    const piece = new Uint8Array(PIECE);
    for (;;) {
      const count = readSync(descriptor, piece, 0, piece.length, null);
      if (count === 0) return hash.digest('hex');
      hash.update(piece.subarray(0, count));
    }
  } finally {
    closeSync(descriptor);
  }
}

/** A manifest of this format; null for somebody else's file of that name. @throws UserError if it is not JSON */
export function asManifest(text: string, name: string): Manifest | null {
  const value = parseJson(text, name) as Partial<Manifest> | null;
  const ours = value?.format === 1 && typeof value.files === 'object' && value.files !== null;
  return ours ? (value as Manifest) : null;
}

/** Files found to be what their manifest says, with size and time of change: a command opens a model more than once. */
const verified = new Map<string, string>();

/**
 * Checks files of a folder against its manifest, if it has one that names them.
 * @throws UserError naming the file that is not what was saved
 */
export function checkManifest(folder: string, files: readonly string[]): void {
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) return;
  let manifest: Manifest | null;
  try {
    manifest = asManifest(readSmallFile(path), path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });
  }
  for (const file of files) {
    if (manifest === null || !Object.hasOwn(manifest.files, file)) continue;
    checkFile(join(folder, file), String(manifest.files[file]?.sha256));
  }
}

function checkFile(path: string, expected: string): void {
  let stamp: string;
  let actual: string;
  try {
    const { descriptor, info } = openRegular(path);
    closeSync(descriptor);
    stamp = `${info.dev} ${info.ino} ${info.size} ${info.mtimeMs} ${expected}`;
    if (verified.get(path) === stamp) return;
    actual = fileSha256(path);
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${reason(error)}`, 1, { cause: error });
  }
  if (actual !== expected) {
    throw new UserError(
      `${path} is not what was saved: its SHA-256 begins ${actual.slice(0, 12)}, ${MANIFEST} says ${expected.slice(0, 12)}; ` +
        `restore the file, or, if it was changed on purpose, delete ${MANIFEST}`,
    );
  }
  verified.set(path, stamp);
}
