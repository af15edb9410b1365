/**
 * @file Folders that are there whole or not at all, whatever moment the process dies at.
 *
 *   .step-000500.tmp-4242/    being written; the number is the writer's process id
 *   step-000500/              complete: the rename from the former is the moment it comes to be
 *   .step-000500.old-4242/    the former of that name, while being replaced; put back if the new one never arrived
 *   .step-000250.trash-4242/  being deleted
 *   latest                    text file with the name of the newest folder, itself replaced by a rename
 *
 * Each complete folder has a `manifest.json` with size and SHA-256 of every file, so damage by other hands is noticed too.
 */
import * as nodeFs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errorCode, reason, UserError } from '../terminal/errors.ts';
import { humanBytes } from '../terminal/human-units.ts';
import { asManifest, fileSha256, MANIFEST, type Manifest } from './checksums.ts';
import { compareNames } from './name-order.ts';
import { isRunning } from './processes.ts';
import { irregular, MAX_SMALL_BYTES, textOf } from './small-file.ts';
import type { StreamedFile } from './streamed-file.ts';
import { type FileSystem, replaceFile, syncFolder, writeSynced } from './synced-file.ts';

const LATEST = 'latest';
const LEFTOVER = /^\.(.+)\.(tmp|old|trash)-(\d+)$/;
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** A file of another whole folder that becomes a file of the new one, without being written again. */
export interface LinkedFile {
  readonly link: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Options of `writeFolder`. */
export interface WriteOptions {
  /** Replace a folder of that name. Otherwise it is an error. */
  overwrite?: boolean;
  fs?: FileSystem;
}

/**
 * Writes `parent/name/` with the given files and a manifest: all of it on the disk before the name exists.
 * @param files file name -> contents; strings as UTF-8, streamed ones are made while they are written
 * @returns the folder's path
 * @throws UserError if the folder exists, or in plain words for a full or read-only disk; what was there before is untouched
 */
export async function writeFolder(
  parent: string,
  name: string,
  files: Readonly<Record<string, Uint8Array | string | StreamedFile | LinkedFile>>,
  options: WriteOptions = {},
): Promise<string> {
  const fs = options.fs ?? nodeFs;
  for (const part of [name, ...Object.keys(files)]) checkName(part);
  const target = join(parent, name);
  const temporary = join(parent, `.${name}.tmp-${process.pid}`);
  const contents = Object.entries(files).map(([file, data]): [string, Uint8Array | StreamedFile | LinkedFile] => [
    file,
    typeof data === 'string' ? Buffer.from(data) : data,
  ]);
  const exists = async (): Promise<boolean> => (await fs.lstat(target).catch(absent)) !== undefined;
  if (!options.overwrite && (await exists())) throw new UserError(`${target} exists already; nothing was overwritten`);
  try {
    await fs.rm(temporary, { recursive: true, force: true });
    // Absolute: given a relative path in a current folder that has been deleted, Node's recursive mkdir never ends.
    await fs.mkdir(resolve(temporary), { recursive: true });
    const manifest: Manifest = { format: 1, files: {} };
    for (const [file, data] of contents) {
      if ('link' in data) {
        await fs.link(data.link, join(temporary, file));
        manifest.files[file] = { bytes: data.bytes, sha256: data.sha256 };
      } else manifest.files[file] = await writeSynced(fs, join(temporary, file), data);
    }
    await writeSynced(fs, join(temporary, MANIFEST), Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));
    await syncFolder(fs, temporary);
    if (options.overwrite && (await exists())) await replaceFolder(fs, parent, name, temporary);
    else await fs.rename(temporary, target);
    await syncFolder(fs, parent);
  } catch (error) {
    await fs.rm(temporary, { recursive: true, force: true }).catch(() => {});
    const size = humanBytes(contents.reduce((sum, [, data]) => sum + ('bytes' in data ? data.bytes : data.length), 0));
    throw new UserError(`cannot save ${target} (${size}): ${reason(error)}; what was saved before is untouched`, 1, {
      cause: error,
    });
  }
  return target;
}

/** The files of a whole folder, to be taken over into another. @throws Error if its manifest cannot be read */
export async function linkedFiles(folder: string, fs: FileSystem = nodeFs): Promise<Record<string, LinkedFile>> {
  const { files } = JSON.parse(await fs.readFile(join(folder, MANIFEST), 'utf8')) as Manifest;
  return Object.fromEntries(
    Object.entries(files).map(([file, { bytes, sha256 }]) => [file, { link: join(folder, file), bytes, sha256 }]),
  );
}

/** A folder cannot be renamed onto a full one: the old one steps aside first, and comes back if the new one does not arrive. */
async function replaceFolder(fs: FileSystem, parent: string, name: string, temporary: string): Promise<void> {
  const aside = join(parent, `.${name}.old-${process.pid}`);
  await fs.rm(aside, { recursive: true, force: true });
  await fs.rename(join(parent, name), aside);
  try {
    await fs.rename(temporary, join(parent, name));
  } catch (error) {
    await fs.rename(aside, join(parent, name));
    throw error;
  }
  await syncFolder(fs, parent);
  await fs.rm(aside, { recursive: true, force: true });
}

/** Points `parent/latest` at a folder, atomically. */
export const setLatest = (parent: string, name: string, fs: FileSystem = nodeFs): Promise<void> =>
  setPointer(parent, LATEST, name, fs);

/** Writes a folder's name into the text file `parent/pointer`, atomically. @throws UserError; the former pointer then stays */
export async function setPointer(
  parent: string,
  pointer: string,
  name: string,
  fs: FileSystem = nodeFs,
): Promise<void> {
  checkName(name);
  try {
    await replaceFile(parent, pointer, `${name}\n`, fs);
  } catch (error) {
    throw new UserError(`cannot update ${join(parent, pointer)}: ${reason(error)}`, 1, { cause: error });
  }
}

/** Names of the folders in `parent`, hidden ones left out, oldest first by the numbers in them. A missing parent has none. */
export async function listFolders(parent: string, fs: FileSystem = nodeFs): Promise<string[]> {
  const entries = (await fs.readdir(parent, { withFileTypes: true }).catch(absent)) ?? [];
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort(compareNames);
}

/**
 * The fault of a folder, in a few words, or undefined if every file of its manifest is there with its size (and, with
 * `checksums`, its SHA-256).
 */
export async function folderProblem(
  folder: string,
  options: { checksums?: boolean; fs?: FileSystem } = {},
): Promise<string | undefined> {
  const fs = options.fs ?? nodeFs;
  let manifest: Manifest | null;
  try {
    manifest = asManifest(await smallText(fs, join(folder, MANIFEST)), MANIFEST);
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? `${MANIFEST} is missing` : `${MANIFEST} cannot be read (${reason(error)})`;
  }
  if (manifest === null) return `${MANIFEST} is not of format 1`;
  for (const [file, expected] of Object.entries(manifest.files)) {
    // Names come from the disk: one with a slash could lead anywhere.
    if (!PLAIN_NAME.test(file)) return `${MANIFEST} names '${file}', which is no plain file name`;
    const info = await fs.stat(join(folder, file)).catch(() => undefined);
    if (!info?.isFile()) return `${file} is missing`;
    if (info.size !== expected?.bytes) return `${file} has ${info.size} bytes instead of ${expected?.bytes}`;
    if (!options.checksums) continue;
    if (fileSha256(join(folder, file)) !== expected.sha256) return `${file} does not match its SHA-256`;
  }
  return undefined;
}

/**
 * Name of the folder to go on from: the one `latest` names, if sound; else the newest sound one by number; undefined if none is.
 * @param options.only names of folders that may be taken   @param options.warn told why a folder was passed over
 */
export async function latestFolder(
  parent: string,
  options: { checksums?: boolean; only?: RegExp; warn?: (message: string) => void; fs?: FileSystem } = {},
): Promise<string | undefined> {
  const fs = options.fs ?? nodeFs;
  const names = (await listFolders(parent, fs)).filter((name) => (options.only ?? PLAIN_NAME).test(name)).reverse();
  const pointer = (await smallText(fs, join(parent, LATEST)).catch(absent))?.trim();
  const ordered =
    pointer !== undefined && names.includes(pointer) ? [pointer, ...names.filter((n) => n !== pointer)] : names;
  for (const name of ordered) {
    const problem = await folderProblem(join(parent, name), options);
    if (problem === undefined) return name;
    options.warn?.(`${join(parent, name)} is not usable: ${problem}`);
  }
  return undefined;
}

/**
 * Deletes the oldest folders, all but the last `keepLast`, those in `keep` (the best one) and the one `latest` names. Call it only
 * after the newest is in place.
 * @returns names deleted
 * @throws UserError
 */
export async function pruneFolders(
  parent: string,
  options: { keepLast: number; keep?: readonly string[]; only?: RegExp; fs?: FileSystem },
): Promise<string[]> {
  const fs = options.fs ?? nodeFs;
  try {
    const names = (await listFolders(parent, fs)).filter((name) => (options.only ?? PLAIN_NAME).test(name));
    const pointer = (await smallText(fs, join(parent, LATEST)).catch(absent))?.trim();
    const kept = new Set([
      ...names.slice(Math.max(0, names.length - options.keepLast)),
      ...(options.keep ?? []),
      pointer,
    ]);
    const doomed = names.filter((name) => !kept.has(name));
    for (const name of doomed) {
      // Renamed first: a half-deleted folder must not keep the name of a whole one.
      const trash = join(parent, `.${name}.trash-${process.pid}`);
      await fs.rename(join(parent, name), trash);
      await fs.rm(trash, { recursive: true, force: true });
    }
    return doomed;
  } catch (error) {
    throw new UserError(`cannot clear old folders out of ${parent}: ${reason(error)}`, 1, { cause: error });
  }
}

/**
 * Clears what dead processes left in `parent`: unfinished writes and deletions go, a folder that stepped aside for one that never
 * arrived comes back. Call it at start. Leftovers of other processes that still run are left alone.
 */
export async function removeLeftovers(parent: string, fs: FileSystem = nodeFs): Promise<void> {
  const names = (await fs.readdir(parent).catch(absent)) ?? [];
  for (const leftover of names) {
    const [, name, kind, pid] = LEFTOVER.exec(leftover) ?? [];
    if (name === undefined || (Number(pid) !== process.pid && isRunning(Number(pid)))) continue;
    if (kind === 'old' && !names.includes(name)) await fs.rename(join(parent, leftover), join(parent, name));
    else await fs.rm(join(parent, leftover), { recursive: true, force: true });
  }
}

/** The text of a small file, through calls that tests make fail. @throws Error in a few words, or the system's own */
async function smallText(fs: FileSystem, path: string): Promise<string> {
  const info = await fs.stat(path);
  const other = irregular(info);
  if (other !== null) throw new Error(other);
  if (info.size > MAX_SMALL_BYTES) throw new Error(`it has ${humanBytes(info.size)}`);
  return textOf(await fs.readFile(path));
}

function checkName(name: string): void {
  if (!PLAIN_NAME.test(name) || name === MANIFEST || name === LATEST) {
    throw new Error(
      `'${name}' cannot name a folder or file here: letters, digits, '.', '_' and '-', starting with a letter or digit`,
    );
  }
}

/** For .catch: undefined if the thing is not there, the error otherwise. */
function absent(error: unknown): undefined {
  if (errorCode(error) === 'ENOENT') return undefined;
  throw error;
}
