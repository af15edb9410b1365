import { createHash } from 'node:crypto';
import { UserError } from '../errors.ts';
import { type Document, totalBytes } from './document.ts';

/** Part of the corpus that is kept out of training when nothing else is said. */
export const HELD_OUT_FRACTION = 0.1;

export interface Split {
  train: Document[];
  /** Never trained on; what held-out bits per byte is measured on. Empty when the fraction is 0. */
  heldOut: Document[];
}

/**
 * The last round(fraction * total) bytes of the corpus become the held-out part, the rest is for training. Documents keep their
 * order; the one that the cut falls into is divided. Both parts get at least one byte when 0 < fraction and there are two.
 * No randomness: a held-out part from the end is also what a compressor that has read the rest is measured on.
 * @throws UserError unless 0 <= fraction < 1
 */
export function splitHeldOut(documents: readonly Document[], fraction = HELD_OUT_FRACTION): Split {
  if (!(fraction >= 0 && fraction < 1)) {
    throw new UserError(
      `held_out_fraction is ${fraction}; it must be at least 0 and less than 1 (0.1 keeps the last 10%)`,
      2,
    );
  }
  const total = totalBytes(documents);
  const wanted = Math.round(total * fraction);
  const heldBytes = fraction === 0 || total < 2 ? 0 : Math.min(total - 1, Math.max(1, wanted));
  const cut = total - heldBytes;
  const split: Split = { train: [], heldOut: [] };
  let start = 0;
  for (const document of documents) {
    const { name, bytes } = document;
    const inside = Math.min(bytes.length, Math.max(0, cut - start));
    if (inside === bytes.length) split.train.push(document);
    else if (inside === 0) split.heldOut.push(document);
    else {
      split.train.push({ name: `${name} (first ${inside} bytes)`, bytes: bytes.subarray(0, inside) });
      split.heldOut.push({ name: `${name} (from byte ${inside})`, bytes: bytes.subarray(inside) });
    }
    start += bytes.length;
  }
  return split;
}

/**
 * SHA-256 in hex over the documents' bytes and where each one ends: for every document its length as 8 bytes little endian,
 * then its bytes. Names do not count, so moved files keep their hash.
 */
export function dataHash(documents: readonly Document[]): string {
  const hash = createHash('sha256');
  for (const { bytes } of documents) {
    const length = new DataView(new ArrayBuffer(8));
    length.setBigUint64(0, BigInt(bytes.length), true);
    hash.update(new Uint8Array(length.buffer)).update(bytes);
  }
  return hash.digest('hex');
}

/**
 * Names of the held-out documents whose bytes are also a whole training document: with those, held-out figures flatter.
 */
export function leakedDocuments({ train, heldOut }: Split): string[] {
  const lengths = new Set(train.map(({ bytes }) => bytes.length));
  const suspects = heldOut.filter(({ bytes }) => lengths.has(bytes.length));
  if (suspects.length === 0) return [];
  const heldLengths = new Set(suspects.map(({ bytes }) => bytes.length));
  // Hashing only what shares its length with the other side keeps large corpora cheap.
  const known = new Set(
    train.filter(({ bytes }) => heldLengths.has(bytes.length)).map((document) => dataHash([document])),
  );
  return suspects.filter((document) => known.has(dataHash([document]))).map(({ name }) => name);
}
