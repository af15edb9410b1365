import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expandBraces, isGlob, segmentMatcher } from './glob.ts';

const SKIPPED_FOLDERS = new Set(['node_modules']);

/**
 * Orders names the way a reader counts: runs of digits by their value (chapter_2 before chapter_10), everything else by UTF-16
 * code unit, so that the order is the same in every locale. A total order: equal only for equal strings.
 */
export function compareNames(a: string, b: string): number {
  const partsA = a.match(/\d+|\D+/g) ?? [];
  const partsB = b.match(/\d+|\D+/g) ?? [];
  for (let i = 0; i < Math.min(partsA.length, partsB.length); i++) {
    const [x, y] = [partsA[i], partsB[i]];
    if (/^\d/.test(x) && /^\d/.test(y)) {
      // Without leading zeros the longer run of digits is the larger number, whatever its length.
      const [m, n] = [x.replace(/^0+/, ''), y.replace(/^0+/, '')];
      if (m.length !== n.length) return m.length - n.length;
      if (m !== n) return m < n ? -1 : 1;
    } else if (x !== y) return x < y ? -1 : 1;
  }
  if (partsA.length !== partsB.length) return partsA.length - partsB.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One thing in a folder, with symbolic links followed. Anything but a file or a folder (socket, device, dead link) is left out. */
interface Entry {
  name: string;
  path: string;
  isFolder: boolean;
}

async function entries(folder: string): Promise<Entry[]> {
  const found: Entry[] = [];
  for (const entry of await readdir(folder || '.', { withFileTypes: true })) {
    const path = join(folder, entry.name);
    let kind: { isFile(): boolean; isDirectory(): boolean } = entry;
    if (entry.isSymbolicLink()) {
      const target = await stat(path).catch(() => undefined);
      if (!target) continue;
      kind = target;
    }
    if (kind.isFile() || kind.isDirectory()) found.push({ name: entry.name, path, isFolder: kind.isDirectory() });
  }
  return found.sort((a, b) => compareNames(a.name, b.name));
}

const isSkipped = (entry: Entry): boolean =>
  entry.name.startsWith('.') || (entry.isFolder && SKIPPED_FOLDERS.has(entry.name));

/**
 * Paths of all files under `folder`, in {@link compareNames} order folder by folder. Hidden names (so .git too) and node_modules are
 * skipped. Each real folder is entered once and each real file given once, so circles of symbolic links end.
 */
export async function walkFolder(folder: string, seen: Set<string> = new Set()): Promise<string[]> {
  const real = await realpath(folder);
  if (seen.has(real)) return [];
  seen.add(real);
  const files: string[] = [];
  for (const entry of await entries(folder)) {
    if (isSkipped(entry)) continue;
    if (entry.isFolder) files.push(...(await walkFolder(entry.path, seen)));
    else {
      const realFile = await realpath(entry.path);
      if (!seen.has(realFile)) files.push(entry.path);
      seen.add(realFile);
    }
  }
  return files;
}

/**
 * Paths of all files that the pattern matches, each once: brace alternatives in the order written, then folder by folder in
 * {@link compareNames} order. A folder that the whole pattern matches stands for the files under it, as when a shell expands
 * the pattern. See {@link segmentMatcher} for the syntax.
 */
export async function expandGlob(pattern: string): Promise<string[]> {
  const found: string[] = [];
  const given = new Set<string>();
  for (const plain of expandBraces(pattern)) {
    const root = plain.startsWith('/') ? '/' : '';
    const segments = plain.split('/').filter((segment) => segment !== '' && segment !== '.');
    for (const path of await matchFrom(root, segments, new Set())) {
      const real = await realpath(path);
      if (!given.has(real)) found.push(path);
      given.add(real);
    }
  }
  return found;
}

async function matchFrom(folder: string, segments: readonly string[], deep: Set<string>): Promise<string[]> {
  const [segment, ...rest] = segments;
  if (segment === undefined) return walkFolder(folder);
  if (segment === '**') return matchDeep(folder, rest, deep);
  if (!isGlob(segment) && !segment.includes('\\')) {
    const path = join(folder, segment);
    const info = await stat(path).catch(() => undefined);
    if (info?.isDirectory()) return matchFrom(path, rest, deep);
    return info?.isFile() && rest.length === 0 ? [path] : [];
  }
  const matches = segmentMatcher(segment);
  const found: string[] = [];
  for (const entry of await entries(folder)) {
    if (!matches(entry.name) || (entry.isFolder && SKIPPED_FOLDERS.has(entry.name))) continue;
    if (entry.isFolder) found.push(...(await matchFrom(entry.path, rest, deep)));
    else if (rest.length === 0) found.push(entry.path);
  }
  return found;
}

/** `**`: the rest of the pattern from here and from every folder below; `deep` keeps symbolic links from going round. */
async function matchDeep(folder: string, rest: readonly string[], deep: Set<string>): Promise<string[]> {
  if (rest.length === 0) return walkFolder(folder);
  const key = `${rest.length}:${await realpath(folder || '.')}`;
  if (deep.has(key)) return [];
  deep.add(key);
  const found = await matchFrom(folder, rest, deep);
  for (const entry of await entries(folder)) {
    if (entry.isFolder && !isSkipped(entry)) found.push(...(await matchDeep(entry.path, rest, deep)));
  }
  return found;
}
