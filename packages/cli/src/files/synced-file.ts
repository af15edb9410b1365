/** @file Files that are on the disk when they are said to be: written, synced, and given their name by a rename. */
import { createHash } from 'node:crypto';
import * as nodeFs from 'node:fs/promises';
import { join } from 'node:path';
import { updateHash } from './in-pieces.ts';
import type { StreamedFile } from './streamed-file.ts';

/** The calls used of node:fs/promises; tests pass one that fails at a chosen call. */
export type FileSystem = Pick<
  typeof nodeFs,
  'link' | 'mkdir' | 'open' | 'readdir' | 'readFile' | 'rename' | 'rm' | 'stat' | 'lstat'
>;

/** Writes `parent/file` through a temporary one: whatever happens, it holds what it held or the new text, whole and on the disk. */
export async function replaceFile(
  parent: string,
  file: string,
  content: string | Uint8Array | StreamedFile,
  fs: FileSystem = nodeFs,
): Promise<void> {
  const temporary = join(parent, `.${file}.tmp-${process.pid}`);
  try {
    await fs.rm(temporary, { force: true });
    await writeSynced(fs, temporary, typeof content === 'string' ? Buffer.from(content) : content);
    await fs.rename(temporary, join(parent, file));
    await syncFolder(fs, parent);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** Writes a new file and has it on the disk; returns its line of the manifest. */
export async function writeSynced(
  fs: FileSystem,
  path: string,
  data: Uint8Array | StreamedFile,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const handle = await fs.open(path, 'wx');
  // Each piece goes where the last one ended. The next one is made and hashed meanwhile.
  let written = Promise.resolve();
  try {
    for await (const piece of 'pieces' in data ? data.pieces() : [data]) {
      updateHash(hash, piece);
      bytes += piece.length;
      await written;
      written = handle.writeFile(piece);
      // A failure is thrown where it is awaited; without this line it would be an unhandled rejection.
      written.catch(() => {});
    }
    await written;
    await handle.sync();
  } finally {
    // Where making a piece has failed, the one before it may still be written.
    await written.catch(() => {});
    await handle.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Makes names in a folder durable. Windows cannot open a folder for that: nothing to be done there. */
export async function syncFolder(fs: FileSystem, folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
