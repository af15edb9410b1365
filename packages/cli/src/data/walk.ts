/** @file Files under a folder or behind a pattern, in an order that every machine has. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { compareNames, sortedByName } from '../files/name-order.ts';
import { errorCode } from '../terminal/errors.ts';
import { type FilePath, joinPath, pathKey } from './file-path.ts';
import { expandBraces, isGlob, segmentMatcher } from './glob.ts';
import { isRun, RUN_FILE } from './is-run.ts';

/** A file that a folder or a pattern gave. */
export interface FoundFile {
  readonly path: FilePath;
  /** {@link pathKey} of the path without symbolic links: equal for two ways to one file. */
  readonly key: string;
}

/** Told about what is passed over. `kind` groups what may come by the thousand. */
export type OnSkipped = (kind: 'unreadable' | 'dead link' | 'special' | 'run', path: FilePath, error?: unknown) => void;

const SKIPPED_FOLDERS = new Set(['node_modules']);

/** Hidden names (so .git too) and node_modules are no data. */
export const isSkippedName = (name: string, isFolder: boolean): boolean =>
  name.startsWith('.') || (isFolder && SKIPPED_FOLDERS.has(name));

/** Errors that a walk may meet in any folder of another person and passes over, because they are no reason to refuse the rest. */
const PASSED_OVER = new Set(['ENOENT', 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR', 'ENAMETOOLONG', 'ENXIO']);

/** Whether a file that nobody named may be left out because of this error. Others, such as a broken disk, end the command. */
export const isPassedOver = (error: unknown): boolean => PASSED_OVER.has(errorCode(error) ?? '');

/** A folder on the way: how it was reached, and its path without symbolic links. */
interface Folder {
  readonly path: FilePath;
  readonly real: FilePath;
}

/** One thing in a folder, with symbolic links followed. */
interface Entry extends Folder {
  /** For patterns and for the order; U+FFFD in the place of bytes that are no UTF-8. */
  readonly name: string;
  readonly isFolder: boolean;
}

const asFound = ({ path, real }: Folder): FoundFile => ({ path, key: pathKey(real) });

/** The path without links; strings stay strings unless the target's name is not UTF-8. */
async function realPath(path: FilePath): Promise<FilePath> {
  const bytes = await realpath(path.length === 0 ? '.' : path, { encoding: 'buffer' });
  return asText(bytes);
}

/** A string if the bytes are UTF-8. */
function asText(bytes: Buffer): FilePath {
  const text = bytes.toString();
  return text.includes('\ufffd') && !Buffer.from(text).equals(bytes) ? bytes : text;
}

const openFolder = async (path: FilePath): Promise<Folder> => ({ path, real: await realPath(path) });

type RawEntry = Pick<Dirent, 'isFile' | 'isDirectory' | 'isSymbolicLink'> & { readonly name: FilePath };

async function rawEntries(folder: FilePath): Promise<RawEntry[]> {
  const path = folder.length === 0 ? '.' : folder;
  const plain = await readdir(path, { withFileTypes: true });
  // Names that are not UTF-8 come with U+FFFD in them: such a folder is read again as bytes.
  if (!plain.some(({ name }) => name.includes('\ufffd'))) return plain;
  const exact = await readdir(path, { withFileTypes: true, encoding: 'buffer' });
  return exact.map((entry) => ({
    name: asText(entry.name as unknown as Buffer),
    isFile: () => entry.isFile(),
    isDirectory: () => entry.isDirectory(),
    isSymbolicLink: () => entry.isSymbolicLink(),
  }));
}

/** Entries of a folder, in {@link compareNames} order. Only names that are `wanted` are looked at. */
async function entries(folder: Folder, wanted: (name: string) => boolean, onSkipped: OnSkipped): Promise<Entry[]> {
  const found: Entry[] = [];
  for (const entry of await rawEntries(folder.path)) {
    const name = entry.name.toString();
    if (!wanted(name)) continue;
    const path = joinPath(folder.path, entry.name);
    let kind: Pick<RawEntry, 'isFile' | 'isDirectory'> = entry;
    // A folder without links, and in it no link: the path needs no look at every one of its parts.
    let real = joinPath(folder.real, entry.name);
    if (entry.isSymbolicLink()) {
      try {
        kind = await stat(path);
        real = await realPath(path);
      } catch (error) {
        if (!isPassedOver(error)) throw error;
        onSkipped('dead link', path);
        continue;
      }
    }
    if (kind.isFile() || kind.isDirectory()) found.push({ name, path, real, isFolder: kind.isDirectory() });
    else onSkipped('special', path);
  }
  return sortedByName(found, ({ path, name }) => (typeof path === 'string' ? name : name + pathKey(path)));
}

const nothing = (): void => {};

/**
 * All files under `folder`, in {@link compareNames} order folder by folder. Hidden names, node_modules and the runs in it are skipped. Each real
 * folder is entered once and each real file given once, so circles of symbolic links end. What cannot be opened, leads nowhere,
 * or is no file (pipe, socket, device) is passed over, and `onSkipped` is told.
 */
export async function walkFolder(folder: FilePath, onSkipped: OnSkipped = nothing): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  await walkInto(await openFolder(folder), true, { found, seen: new Set(), onSkipped });
  return found;
}

interface Walk {
  readonly found: FoundFile[];
  readonly seen: Set<string>;
  readonly onSkipped: OnSkipped;
}

async function walkInto(folder: Folder, isNamed: boolean, walk: Walk): Promise<void> {
  const { found, seen, onSkipped } = walk;
  const key = pathKey(folder.real);
  if (seen.has(key)) return;
  seen.add(key);
  const all = await entriesOrNone(folder, (name) => !isSkippedName(name, false), isNamed, onSkipped);
  if (!isNamed && holdsRun(folder, all, onSkipped)) return;
  for (const entry of all) {
    if (isSkippedName(entry.name, entry.isFolder)) continue;
    if (entry.isFolder) await walkInto(entry, false, walk);
    else {
      const file = asFound(entry);
      if (!seen.has(file.key)) found.push(file);
      seen.add(file.key);
    }
  }
}

/** Whether a folder that was come across is a run, which is no data. It is told of then. */
function holdsRun(folder: Folder, all: readonly Entry[], onSkipped: OnSkipped): boolean {
  if (!all.some(({ name, isFolder }) => name === RUN_FILE && !isFolder) || !isRun(folder.path)) return false;
  onSkipped('run', folder.path);
  return true;
}

/** A folder that was named must open; one that was come across may be passed over. */
async function entriesOrNone(
  folder: Folder,
  wanted: (name: string) => boolean,
  isNamed: boolean,
  onSkipped: OnSkipped,
): Promise<Entry[]> {
  try {
    return await entries(folder, wanted, onSkipped);
  } catch (error) {
    if (isNamed || !isPassedOver(error)) throw error;
    onSkipped('unreadable', folder.path, error);
    return [];
  }
}

/**
 * All files that the pattern matches, each once: brace alternatives in the order written, then folder by folder in
 * {@link compareNames} order. A folder that the whole pattern matches stands for the files under it, as when a shell expands
 * the pattern. See {@link segmentMatcher} for the syntax.
 */
export async function expandGlob(pattern: string, onSkipped: OnSkipped = nothing): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>();
  const search: Search = {
    deep: new Set(),
    onSkipped,
    give: (file) => {
      if (!found.has(file.key)) found.set(file.key, file);
    },
  };
  for (const plain of expandBraces(pattern)) {
    const root = plain.startsWith('/') ? '/' : '';
    const segments = plain.split('/').filter((segment) => segment !== '' && segment !== '.');
    search.deep.clear();
    await matchFrom(await openFolder(root), segments, search);
  }
  return [...found.values()];
}

interface Search {
  /** Folders in which the rest of a `**` was looked for, so that symbolic links do not go round. */
  readonly deep: Set<string>;
  readonly onSkipped: OnSkipped;
  readonly give: (file: FoundFile) => void;
}

async function matchFrom(folder: Folder, segments: readonly string[], search: Search): Promise<void> {
  const [segment, ...rest] = segments;
  if (segment === undefined) {
    const found: FoundFile[] = [];
    await walkInto(folder, false, { found, seen: new Set(), onSkipped: search.onSkipped });
    for (const file of found) search.give(file);
    return;
  }
  if (segment === '**') return matchDeep(folder, rest, search);
  if (!isGlob(segment) && !segment.includes('\\')) {
    const path = joinPath(folder.path, segment);
    const info = await stat(path).catch(() => undefined);
    if (info?.isDirectory()) await matchFrom(await openFolder(path), rest, search);
    else if (info?.isFile() && rest.length === 0) search.give(asFound(await openFolder(path)));
    return;
  }
  for (const entry of await entriesOrNone(folder, segmentMatcher(segment), false, search.onSkipped)) {
    if (entry.isFolder && SKIPPED_FOLDERS.has(entry.name)) continue;
    if (entry.isFolder) await matchFrom(entry, rest, search);
    else if (rest.length === 0) search.give(asFound(entry));
  }
}

/** `**`: the rest of the pattern from here and from every folder below. @param isNamed the pattern leads here without a `**` */
async function matchDeep(folder: Folder, rest: readonly string[], search: Search, isNamed = true): Promise<void> {
  if (rest.length === 0) return matchFrom(folder, rest, search);
  const key = `${rest.length}:${pathKey(folder.real)}`;
  if (search.deep.has(key)) return;
  search.deep.add(key);
  const visible = (name: string): boolean => !isSkippedName(name, false);
  // Dead links and the like are told of by the pattern itself, where it means them.
  const all = await entriesOrNone(folder, visible, false, nothing);
  if (!isNamed && holdsRun(folder, all, search.onSkipped)) return;
  await matchFrom(folder, rest, search);
  for (const entry of all) {
    if (entry.isFolder && !isSkippedName(entry.name, true)) await matchDeep(entry, rest, search, false);
  }
}
