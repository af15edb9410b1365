/** @file A file that is there whole or not at all, on a disk that several machines may share. */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, realpathSync, type Stats, statSync } from 'node:fs';
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

/** Whether this is a pipe, a device or a socket: it takes bytes, and no file may come into its place. */
export const takesBytes = (info: Pick<Stats, 'isFile' | 'isDirectory'>): boolean =>
  !info.isFile() && !info.isDirectory();

/** Refuses a place that cannot take a result, before the work that makes it. @throws UserError naming the place and the reason */
export function checkCanWrite(path: string): void {
  const refused = (why: string) => new UserError(`cannot write ${path}: ${why}`, 2);
  try {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw refused('it is a folder');
    if (there && takesBytes(there)) {
      accessSync(path, constants.W_OK);
      return;
    }
    const folder = dirname(there ? realpathSync(path) : path);
    const above = statSync(folder, { throwIfNoEntry: false });
    if (!above) throw refused(`there is no folder ${folder}; make it first`);
    if (!above.isDirectory()) throw refused('a part of the path is a file, not a folder');
    accessSync(folder, constants.W_OK);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw refused(reason(error));
  }
}

/**
 * Writes a file under a name of its own, syncs it, and renames it: readers see the former contents or the new ones. What a writer that
 * died leaves is a hidden file `.NAME.<letters>.tmp` that nobody reads (see `removeStale`). A link stays, and its file is written. A pipe
 * or a device gets the bytes as they are, because a file in its place would be another thing.
 * @param mode permissions of a new file, before the umask
 * @throws UserError naming the file
 */
export async function writeFileAtomically(
  path: string,
  data: Uint8Array,
  fs: FileCalls = nodeFs,
  mode = 0o666,
): Promise<void> {
  try {
    const there = await nodeFs.stat(path).catch(() => null);
    if (there && takesBytes(there)) await nodeFs.writeFile(path, data);
    else await replace(there ? await nodeFs.realpath(path) : path, data, fs, mode);
  } catch (error) {
    throw new UserError(`cannot write ${path}: ${reason(error)}`, 1, { cause: error });
  }
}

async function replace(path: string, data: Uint8Array, fs: FileCalls, mode: number): Promise<void> {
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
    if (process.platform === 'win32') return;
    const folder = await fs.open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}
