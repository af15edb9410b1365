/** @file Bytes of any number in pieces, because Node hashes and reads less than 2 GiB at once. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { openRegular } from './small-file.ts';

const PIECE = 2 ** 30;

/** Bytes in pieces of at most 1 GiB. */
export function* inPieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, Math.min(bytes.length, at + PIECE));
}

/** `hash.update` for bytes of any number. */
export function updateHash(hash: Hash, bytes: Uint8Array): void {
  for (const piece of inPieces(bytes)) hash.update(piece);
}

/** SHA-256 in hex of byte arrays end to end. */
export function sha256Of(parts: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const part of parts) updateHash(hash, part);
  return hash.digest('hex');
}

/** All bytes of a file, of whatever size. @throws Error in a few words, or the system's own */
export function readWholeFile(path: string): Uint8Array {
  const { descriptor, info } = openRegular(path);
  try {
    const bytes = new Uint8Array(info.size);
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(descriptor, bytes, filled, Math.min(bytes.length - filled, PIECE), filled);
      if (count === 0) break;
      filled += count;
    }
    return filled === bytes.length ? bytes : bytes.slice(0, filled);
  } finally {
    closeSync(descriptor);
  }
}
