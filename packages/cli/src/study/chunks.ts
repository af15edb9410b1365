/**
 * @file Documents cut into chunks of bytes. A chunk is a row of every family: the same text, so the same context in bytes and the same
 * data order, whatever the family makes of it.
 */
import type { Random } from '@blt-ts/tensor';

/** A text of the study. */
export interface StudyDocument {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Whether it ends here, which is predicted too; false for an excerpt. */
  readonly complete: boolean;
}

const SPACE = 0x20;
const isWhite = (byte: number): boolean => byte === SPACE || (byte >= 9 && byte <= 13);

/** The nearest place before `at` where a word begins with its space, else the nearest end of a UTF-8 character. */
function wordStart(bytes: Uint8Array, from: number, at: number): number {
  for (let cut = at; cut > from + (at - from) / 2; cut--)
    if (bytes[cut] === SPACE && !isWhite(bytes[cut - 1])) return cut;
  for (let cut = at; cut > at - 4 && cut > from + 1; cut--) if ((bytes[cut] & 0xc0) !== 0x80) return cut;
  return at;
}

/**
 * Where the chunks of a text end: each has at most `size` bytes (the first one at most `first`), and ends before a space if there is one in
 * its second half. So a tokenizer that joins words with the space before them loses nothing at a cut.
 */
export function chunkEnds(bytes: Uint8Array, size: number, first = size): number[] {
  const ends: number[] = [];
  for (let from = 0; from < bytes.length; from = ends[ends.length - 1]) {
    const at = from + (from === 0 ? first : size);
    ends.push(at >= bytes.length ? bytes.length : wordStart(bytes, from, at));
  }
  return ends;
}

/** Chunks of an epoch of training. From the second epoch on each document's first chunk is shorter, so that the cuts fall elsewhere. */
export const trainingEnds = (bytes: Uint8Array, size: number, random: Random, epoch: number): number[] =>
  chunkEnds(bytes, size, epoch === 0 ? size : 1 + random.integer(size));

/** The first `most` bytes of a held-out document, up to the last space. The document itself if it is no longer. */
export function excerptOf(document: StudyDocument, most: number): StudyDocument {
  const { bytes } = document;
  return bytes.length <= most
    ? document
    : { ...document, bytes: bytes.subarray(0, wordStart(bytes, 0, most)), complete: false };
}
