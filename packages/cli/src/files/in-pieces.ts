/** @file Bytes of any number in pieces, because Node hashes less than 2 GiB at once. */
import { createHash, type Hash } from 'node:crypto';

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
