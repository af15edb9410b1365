/** @file A file that is there whole or not at all, on a disk that several machines may share. */
import { randomBytes } from 'node:crypto';
import * as nodeFs from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { reason, UserError } from '../terminal/errors.ts';

/** The calls used of node:fs/promises; tests pass one that fails at a chosen call. */
export type FileCalls = Pick<typeof nodeFs, 'open' | 'rename' | 'rm'>;

/** A writer takes seconds: what is older was left by one that died. */
const STALE_SECONDS = 600;

/** Removes what dead writers of this file have left. Those at work, on whatever machine, keep theirs. */
export async function removeStale(path: string, now = Date.now()): Promise<void> {
  const folder = dirname(path);
  for (const name of await nodeFs.readdir(folder)) {
    if (!name.startsWith(`.${basename(path)}.`) || !name.endsWith('.tmp')) continue;
    const info = await nodeFs.stat(join(folder, name)).catch(() => null);
    if (info && now - info.mtimeMs > 1000 * STALE_SECONDS) await nodeFs.rm(join(folder, name), { force: true });
  }
}

/**
 * Writes a file under a name of its own, syncs it, and renames it: readers see the former contents or the new ones. What a writer that
 * died leaves is a hidden file `.NAME.<letters>.tmp` that nobody reads (see `removeStale`).
 * @param mode permissions of a new file, before the umask
 * @throws UserError naming the file
 */
export async function writeFileAtomically(
  path: string,
  data: Uint8Array,
  fs: FileCalls = nodeFs,
  mode = 0o666,
): Promise<void> {
  // Process ids repeat among machines.
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await fs.open(temporary, 'wx', mode);
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, path);
    if (process.platform !== 'win32') {
      const folder = await fs.open(dirname(path), 'r');
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    }
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw new UserError(`cannot write ${path}: ${reason(error)}`, 1, { cause: error });
  }
}
