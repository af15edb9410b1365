/** @file Which bytes are trained on and which are held out. */
import { createHash, hash } from 'node:crypto';
import { sha256Of, updateHash } from '../files/in-pieces.ts';
import { UserError } from '../terminal/errors.ts';
import { counted } from '../terminal/human-units.ts';
import { type Document, stretch, totalBytes } from './document.ts';

/** Part of the corpus that is kept out of training when nothing else is said. */
export const HELD_OUT_FRACTION = 0.1;

/** Ways to choose the held-out part, see {@link splitCorpus}. */
export const SPLIT_CHOICES = ['auto', 'end', 'documents', 'tails'] as const;
export type SplitChoice = (typeof SPLIT_CHOICES)[number];
/** The ways that `auto` chooses from. */
export type SplitMode = Exclude<SplitChoice, 'auto'>;

/** A document, or a segment of one, that belongs to one side of a split. */
export interface Part extends Document {
  /** The document it comes from. `bytes` are those of `whole` from byte `from` on. */
  readonly whole: Document;
  readonly from: number;
}

/** The training part and the held-out part of a corpus. */
export interface Split {
  train: Part[];
  /** Never trained on; what held-out bits per byte is measured on. Empty when the fraction is 0. */
  heldOut: Part[];
  /** Weights of the sources, where they are mixed. */
  weights?: readonly number[] | null;
}

/** A document as its own and only part. */
export const wholePart = (document: Document): Part => ({ ...document, whole: document, from: 0 });

/**
 * Divides a corpus into a training part and a held-out part. No way of doing so depends on the order in which documents are found
 * on disk, except `end`, whose meaning it is.
 *
 * - `end`: the last round(fraction * total) bytes of all documents laid end to end.
 * - `tails`: the last round(fraction * length) bytes of every document. The cut moves to the nearest end of a line, else of a word,
 *   else of a UTF-8 character; by at most a quarter of the held-out bytes and at most 256 bytes.
 * - `documents`: whole documents. One is held out when u(seed, content) < fraction, with u uniform in [0, 1) from SHA-256. That depends on
 *   this document alone, so adding files moves no other document from one part to the other, and equal documents stay together.
 * - `auto`: `documents` where the share held out can be trusted to come out near the fraction, else `tails`; see {@link manyDocuments}.
 *   Chats are held out whole, at least one of them. `end` is the last resort, where documents are too short to have tails. A corpus that grows may come down to another way; whoever wants
 *   to compare figures before and after names the way.
 *
 * @param seed of the run; only `documents` depends on it
 * @returns the parts and the way they were chosen. Every byte is in exactly one part, and documents keep their order
 * @throws UserError unless 0 <= fraction < 1, or if `documents` was asked for and leaves one of the parts empty
 */
export function splitCorpus(
  documents: readonly Document[],
  choice: SplitChoice,
  { fraction = HELD_OUT_FRACTION, seed = 0 }: { fraction?: number; seed?: number } = {},
): Split & { mode: SplitMode } {
  checkFraction(fraction);
  if (fraction === 0) return { mode: choice === 'auto' ? 'end' : choice, ...splitHeldOut(documents, 0) };
  if (choice === 'end') return { mode: 'end', ...splitHeldOut(documents, fraction, atCharacter) };
  if (choice === 'tails') return { mode: 'tails', ...splitTails(documents, fraction) };
  const chats = documents.some(isAnswered);
  if (choice === 'documents' || chats || manyDocuments(documents, fraction)) {
    const split = splitByContent(documents, fraction, seed);
    if (chats) checkWholeChats(split);
    if (choice === 'documents') checkBothSides(split.train.length, split.heldOut.length);
    const share = totalBytes(split.heldOut) / totalBytes(documents);
    if (choice === 'documents' || chats || isNear(share, fraction)) return { mode: 'documents', ...split };
  }
  const tails = splitTails(documents, fraction);
  return tails.heldOut.length > 0
    ? { mode: 'tails', ...tails }
    : { mode: 'end', ...splitHeldOut(documents, fraction, atCharacter) };
}

/** Whether only some of its bytes, the answers, are to be learned. */
export const isAnswered = ({ answers }: Document): boolean => answers !== undefined;

/** @throws UserError if all chats are on one side */
function checkWholeChats({ train, heldOut }: Split): void {
  if (train.length > 0 && heldOut.length > 0) return;
  throw new UserError(
    'chats are held out whole, and all of these are one and the same, so that none is left to train on; give another one, or --held-out-fraction 0',
    2,
  );
}

/** @throws UserError if drawing whole documents has left one of the sides empty */
export function checkBothSides(train: number, heldOut: number): void {
  if (train > 0 && heldOut > 0) return;
  throw new UserError(
    `--split documents holds out ${heldOut === 0 ? 'none' : 'every one'} of the ${train + heldOut} documents, because each one is drawn by itself; use --split tails, or another --held-out-fraction or --seed`,
    2,
  );
}

/** Whether the share that drawing has held out is near enough to the one asked for. */
export const isNear = (share: number, fraction: number): boolean =>
  share >= fraction / 2 && share <= Math.min(2 * fraction, (1 + fraction) / 2);

/** @throws UserError unless 0 <= fraction < 1 */
export function checkFraction(fraction: number): void {
  if (fraction >= 0 && fraction < 1) return;
  throw new UserError(
    `held_out_fraction is ${fraction}; it must be at least 0 and less than 1 (0.1 keeps a tenth of the data)`,
    2,
  );
}

/** Held-out documents that must be expected, counted as if all were equally long, before whole documents are drawn. */
export const EXPECTED_HELD_OUT = 20;

/**
 * Whether drawing whole documents gives about the share asked for. The share held out has the relative standard deviation
 * sqrt((1 - fraction) / (fraction * n)) with n = (sum of lengths)^2 / (sum of squared lengths), the number of equally long documents that
 * would scatter as much; equal documents are drawn together and count as one. At least 20 expected held-out documents, 200 documents
 * for a tenth, keep it below 22%. One document that is half of the corpus makes n at most 4.
 */
export function manyDocuments(documents: readonly Document[], fraction: number): boolean {
  const total = totalBytes(documents);
  // Without this, hashing a corpus of few documents would be wasted.
  if (documents.length * fraction < EXPECTED_HELD_OUT) return false;
  const byContent = new Map<string, number>();
  for (const document of documents) {
    const key = contentHash(document);
    byContent.set(key, (byContent.get(key) ?? 0) + document.bytes.length);
  }
  let squares = 0;
  for (const bytes of byContent.values()) squares += bytes * bytes;
  return squares > 0 && (fraction * total * total) / squares >= EXPECTED_HELD_OUT;
}

/**
 * Uniform in [0, 1): the first 48 bits of SHA-256("blt split <seed> <SHA-256 of the content in hex>").
 * @param content SHA-256 of the document's bytes, in hex
 */
export function contentUniform(content: string, seed: number): number {
  return Number.parseInt(hash('sha256', `blt split ${seed} ${content}`, 'hex').slice(0, 12), 16) / 2 ** 48;
}

function splitByContent(documents: readonly Document[], fraction: number, seed: number): Split {
  const split: Split = { train: [], heldOut: [] };
  const drawn = documents.map((document) => contentUniform(contentHash(document), seed));
  const limit = drawnBelow(documents, drawn, fraction);
  for (const [i, document] of documents.entries()) {
    const isHeldOut = drawn[i] < fraction || (drawn[i] <= limit && isAnswered(document));
    (isHeldOut ? split.heldOut : split.train).push(wholePart(document));
  }
  return split;
}

/** Up to where chats are held out besides: of few chats none may be drawn, and then the one that was nearest to it is held out. */
function drawnBelow(documents: readonly Document[], drawn: readonly number[], fraction: number): number {
  if (drawn.some((value) => value < fraction)) return 0;
  const ofChats = drawn.filter((_, i) => isAnswered(documents[i]));
  return ofChats.reduce((least, value) => Math.min(least, value), 1);
}

function splitTails(documents: readonly Document[], fraction: number): Split {
  const split: Split = { train: [], heldOut: [] };
  for (const document of documents) {
    const { bytes } = document;
    divide(
      split,
      document,
      tailStart((at) => bytes[at], bytes.length, fraction),
    );
  }
  return split;
}

/** A byte of a document by its place. */
export type ByteAt = (index: number) => number;

/** Furthest that the end of a line or word is looked for, and so how far from a cut a document is read. */
export const LONGEST_LOOK = 256;

/** Where the held-out end of a document would begin, before a better place near it is looked for: its length if it is too short. */
export function plainTailStart(length: number, fraction: number): number {
  const held = Math.round(length * fraction);
  return held === 0 || length < 2 ? length : Math.max(1, length - held);
}

/** Where the held-out end of a document begins: its length if it is too short to have one. */
export function tailStart(byteAt: ByteAt, length: number, fraction: number): number {
  const cut = plainTailStart(length, fraction);
  if (cut === length) return length;
  const look = Math.min(LONGEST_LOOK, Math.floor(Math.round(length * fraction) / 4));
  return (
    nearest(cut, look, length, (at) => byteAt(at - 1) === NEWLINE) ??
    nearest(cut, look, length, (at) => byteAt(at - 1) === SPACE) ??
    characterBoundary(byteAt, length, cut)
  );
}

const NEWLINE = 0x0a;
const SPACE = 0x20;

/** The place nearest to `at` that passes, strictly between 0 and `length`; the earlier one of two. */
function nearest(at: number, look: number, length: number, passes: (at: number) => boolean): number | null {
  for (let distance = 0; distance <= look; distance++) {
    if (at - distance > 0 && at - distance < length && passes(at - distance)) return at - distance;
    if (at + distance > 0 && at + distance < length && passes(at + distance)) return at + distance;
  }
  return null;
}

/**
 * The place nearest to `at`, inside the document, where no UTF-8 character of it is divided. A text of a single character is not divided:
 * its length is returned. Bytes that are no UTF-8 text are cut at `at`.
 */
export function characterBoundary(byteAt: ByteAt, length: number, at: number): number {
  const continues = (index: number) => (byteAt(index) & 0xc0) === 0x80;
  // A character has at most 3 bytes that continue it, so that a longer document of valid text has a boundary within 3.
  return nearest(at, 3, length, (index) => !continues(index)) ?? (length > 4 ? at : length);
}

const atCharacter = (bytes: Uint8Array, at: number): number =>
  characterBoundary((index) => bytes[index], bytes.length, at);

/** Bytes before `cut` for training, the rest held out. */
function divide(split: Split, document: Document, cut: number): void {
  const { name, bytes } = document;
  if (cut >= bytes.length) split.train.push(wholePart(document));
  else if (cut <= 0) split.heldOut.push(wholePart(document));
  else {
    const { length } = bytes;
    split.train.push({
      ...stretch(document, `${name} (first ${counted(cut, 'byte')})`, 0, cut),
      whole: document,
      from: 0,
    });
    split.heldOut.push({ ...stretch(document, `${name} (from byte ${cut})`, cut, length), whole: document, from: cut });
  }
}

/** Bytes of a corpus of so many that come before its held-out end. */
export function endCut(total: number, fraction: number): number {
  const wanted = Math.round(total * fraction);
  return total - (fraction === 0 || total < 2 ? 0 : Math.min(total - 1, Math.max(1, wanted)));
}

/**
 * The last round(fraction * total) bytes of the corpus become the held-out part, the rest is for training. Documents keep their
 * order; the one that the cut falls into is divided. Both parts get at least one byte when 0 < fraction and there are two.
 * @param boundary moves a cut inside a document, default not at all: to the byte, as runs of version 0.1 were split
 * @throws UserError unless 0 <= fraction < 1
 */
export function splitHeldOut(
  documents: readonly Document[],
  fraction = HELD_OUT_FRACTION,
  boundary: (bytes: Uint8Array, at: number) => number = (_, at) => at,
): Split {
  checkFraction(fraction);
  const cut = endCut(totalBytes(documents), fraction);
  const split: Split = { train: [], heldOut: [] };
  let start = 0;
  for (const document of documents) {
    const { length } = document.bytes;
    const inside = Math.min(length, Math.max(0, cut - start));
    divide(split, document, inside === 0 || inside === length ? inside : boundary(document.bytes, inside));
    start += length;
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
    hash.update(new Uint8Array(length.buffer));
    updateHash(hash, bytes);
  }
  return hash.digest('hex');
}

/** {@link dataHash} of the training documents followed by the held-out ones: it knows the data and how they are split. */
export const splitHash = ({ train, heldOut }: Split): string => dataHash(train.concat(heldOut));

const contentHashes = new WeakMap<Document, string>();

/** SHA-256 of a document's bytes in hex. Computed once for each document. */
export function contentHash(document: Document): string {
  let found = contentHashes.get(document);
  if (found === undefined) {
    found = sha256Of([document.bytes]);
    contentHashes.set(document, found);
  }
  return found;
}
