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
  const sizeOf = (p: number): number => Math.min(PIECE_BYTES, documents[owner[p]].bytes.length - piece[p]);
  const drawn = drawPieces(owner.length, sizeOf, bytes, seed);
  const sample: Document[] = [];
  for (let i = 0; i < drawn.length; ) {
    const first = drawn[i];
    let last = first;
    while (drawn[++i] === last + 1 && owner[last + 1] === owner[first]) last++;
    sample.push(excerpt(documents[owner[first]], piece[first], piece[last] + PIECE_BYTES));
  }
  return sample;
}

/**
 * Numbers of pieces, in ascending order, drawn at random without putting one back until they hold at least `bytes` bytes.
 * @param sizeOf bytes of a piece
 */
export function drawPieces(pieces: number, sizeOf: (piece: number) => number, bytes: number, seed: number): number[] {
  const random = new Random(seed).fork('sample');
  // A shuffle of 0 .. pieces-1 as far as it is looked at. Only places that were swapped are stored.
  const swapped = new Map<number, number>();
  const drawn: number[] = [];
  for (let i = 0, held = 0; held < bytes && i < pieces; i++) {
    const j = i + random.integer(pieces - i);
    const p = swapped.get(j) ?? j;
    swapped.set(j, swapped.get(i) ?? i);
    swapped.delete(i);
    held += sizeOf(p);
    drawn.push(p);
  }
  return drawn.sort((a, b) => a - b);
}

/** Most bytes that {@link atCharacterStart} goes on. */
export const LONGEST_CONTINUATION = 3;

/** `at`, moved behind a UTF-8 character that it would divide. */
export function atCharacterStart(byteAt: (index: number) => number, length: number, at: number): number {
  let moved = at;
  while (at > 0 && moved < length && moved < at + LONGEST_CONTINUATION && (byteAt(moved) & 0xc0) === 0x80) moved++;
  return Math.min(moved, length);
}

/** Bytes begin .. end-1 of a document, both moved behind a UTF-8 character that they would divide. */
function excerpt(document: Document, begin: number, end: number): Document {
  const { name, bytes } = document;
  const whole = (at: number): number => atCharacterStart((index) => bytes[index], bytes.length, at);
  const [from, to] = [whole(begin), whole(end)];
  if (from === 0 && to === bytes.length) return stretch(document, name, from, to);
  return stretch(document, `${name} (bytes ${from} to ${to - 1})`, from, to);
}

/** A sample of so many bytes of a mixture: of each source its share of them, or all that it has. */
export function sampleOfEach(
  documents: readonly Document[],
  weights: readonly number[],
  bytes: number,
  seed: number,
): Document[] {
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weights.flatMap((w, s) => {
    const own = documents.filter(({ source }) => source === s);
    return sampleDocuments(own, Math.ceil((bytes * w) / total), seed);
  });
}
