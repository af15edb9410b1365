/** @file A part of a corpus that stands for the whole, for runs that read less than all of it. */
import { Random } from '@blt-ts/tensor';
import { type Document, stretch, totalBytes } from './document.ts';

/** Pieces are drawn of this size: long enough for any context, short enough to come from many places. */
export const PIECE_BYTES = 65_536;

/**
 * Pieces of at most 64 KiB, drawn at random until they hold at least `bytes` bytes, in the order of the documents. Neighbours are
 * joined again. The draw depends on the documents, `bytes` and the seed alone. A corpus that is no larger is returned as it is.
 */
export function sampleDocuments(documents: readonly Document[], bytes: number, seed: number): Document[] {
  if (totalBytes(documents) <= bytes) return [...documents];
  // Piece i begins at piece[i] of document owner[i].
  const owner: number[] = [];
  const piece: number[] = [];
  documents.forEach((document, d) => {
    for (let at = 0; at < document.bytes.length; at += PIECE_BYTES) {
      owner.push(d);
      piece.push(at);
    }
  });
  const random = new Random(seed).fork('sample');
  const order = Int32Array.from(owner.keys());
  const drawn: number[] = [];
  for (let i = 0, held = 0; held < bytes && i < order.length; i++) {
    const j = i + random.integer(order.length - i);
    [order[i], order[j]] = [order[j], order[i]];
    const p = order[i];
    held += Math.min(PIECE_BYTES, documents[owner[p]].bytes.length - piece[p]);
    drawn.push(p);
  }
  drawn.sort((a, b) => a - b);
  const sample: Document[] = [];
  for (let i = 0; i < drawn.length; ) {
    const first = drawn[i];
    let last = first;
    while (drawn[++i] === last + 1 && owner[last + 1] === owner[first]) last++;
    sample.push(excerpt(documents[owner[first]], piece[first], piece[last] + PIECE_BYTES));
  }
  return sample;
}

/** Bytes begin .. end-1 of a document, both moved behind a UTF-8 character that they would divide. */
function excerpt(document: Document, begin: number, end: number): Document {
  const { name, bytes } = document;
  const whole = (at: number): number => {
    let moved = at;
    while (at > 0 && moved < bytes.length && moved < at + 3 && (bytes[moved] & 0xc0) === 0x80) moved++;
    return Math.min(moved, bytes.length);
  };
  const [from, to] = [whole(begin), whole(end)];
  if (from === 0 && to === bytes.length) return stretch(document, name, from, to);
  return stretch(document, `${name} (bytes ${from} to ${to - 1})`, from, to);
}
