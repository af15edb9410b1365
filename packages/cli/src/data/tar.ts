/** @file Reading tar archives in memory. Nothing is ever written: names in an archive are only shown. */

import { sortedByName } from '../files/name-order.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { isSkippedName } from './walk.ts';

/** A regular file of an archive. */
export interface TarFile {
  /** As in the archive, without a leading `./`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * The regular files of a tar archive, in the order in which a folder with the same contents would be walked, and by the same rules:
 * hidden names and node_modules are skipped, links and devices too. A name that comes twice has its last contents.
 * @throws UserError if it is damaged, cut short, or no tar archive
 */
export async function tarFiles(bytes: Uint8Array, name: string): Promise<TarFile[]> {
  if (isCompressed(bytes)) throw new UserError(`${name} is no tar archive but packed twice; unpack it yourself`);
  const { Parser } = await import('tar/parse');
  const files = new Map<string, Uint8Array[]>();
  await new Promise<void>((resolve, reject) => {
    const parser = new Parser({
      strict: true,
      filter: (path, entry) => 'type' in entry && isRegular(entry.type) && isWanted(path),
      onReadEntry: (entry) => {
        const parts: Uint8Array[] = [];
        entry.on('data', (part: Uint8Array) => parts.push(part));
        entry.on('end', () => files.set(plainName(entry.path), parts));
      },
    });
    parser.on('error', reject);
    parser.on('end', resolve);
    parser.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }).catch((error) => {
    throw new UserError(`${name} is damaged or no tar archive (${reason(error)}); fetch or pack it again`);
  });
  return sortedByName([...files.keys()], (path) => path).map((path) => ({
    name: path,
    bytes: joined(files.get(path)!),
  }));
}

/** Whether this is gzip or zstd data, which the parser would unpack by itself, and without bounds. */
export const isCompressed = ([a, b]: Uint8Array): boolean => (a === 0x1f && b === 0x8b) || (a === 0x28 && b === 0xb5);

/** Whether an entry is a file. */
export const isRegular = (type: string): boolean => type === 'File' || type === 'OldFile' || type === 'ContiguousFile';

/** Without a leading `./`. */
export const plainName = (path: string): string => path.replace(/^(\.\/)+/, '');

/** Whether an entry of this name is data, by the rules for folders. */
export function isWanted(path: string): boolean {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.every((part, i) => !isSkippedName(part, i < parts.length - 1));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return new Uint8Array(parts[0].buffer, parts[0].byteOffset, parts[0].byteLength);
  return new Uint8Array(Buffer.concat(parts));
}
