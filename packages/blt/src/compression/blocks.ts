/**
 * @file The order in which the bytes of a text are predicted, which compressing and decompressing share.
 *
 * A text is cut into blocks, which know nothing of each other, so that a decoder reads them side by side. Within a block a byte is
 * predicted from the bytes before it, at most `contextBytes` of them. When the context is full, its newest eighth is read again as if it
 * were a text of its own, and prediction goes on from there (`windows`). Rounds go over the blocks: byte 0 of each, byte 1 of each, ...
 *
 * Decompressing reads one byte of each block in a pass, because the next one follows from it. Compressing knows them all and reads
 * many. Both get the same bits on a backend that is batch-invariant.
 */
import type { Decoder } from '../decoding/decoder.ts';
import { BOS, BYTE_OFFSET } from '../patching/vocabulary.ts';
import type { BlockCoder } from './block-coders.ts';

/** Bytes from .. to-1 of a block are predicted with a context that begins at `first`. */
interface Window {
  readonly first: number;
  readonly from: number;
  readonly to: number;
}

/** The windows of a block. Contexts never have more than `contextBytes` ids, and from the second on at least an eighth of them. */
export function windows(length: number, contextBytes: number): Window[] {
  const all: Window[] = [];
  const kept = Math.ceil(contextBytes / 8);
  for (let from = 0; from < length; ) {
    const first = Math.max(0, from - kept);
    const to = Math.min(length, first + contextBytes);
    all.push({ first, from, to });
    from = to;
  }
  return all;
}

/** Where each of `count` parts of `length` bytes begins and ends. Their lengths differ by 1 at most. */
const spans = (length: number, count: number): [from: number, to: number][] =>
  Array.from({ length: count }, (_, i) => [Math.floor((i * length) / count), Math.floor(((i + 1) * length) / count)]);

/** A text cut into `count` parts whose lengths differ by 1 at most. They are views of it. */
export const cutBlocks = (text: Uint8Array, count: number): Uint8Array[] =>
  spans(text.length, count).map(([from, to]) => text.subarray(from, to));

/** The lengths of the parts that `cutBlocks` makes. */
export const partSizes = (length: number, count: number): number[] =>
  spans(length, count).map(([from, to]) => to - from);

/** Bytes of each block in one pass where they are known. */
const PASS_BYTES = 64;

const idsOf = (bytes: Uint8Array): number[] => Array.from(bytes, (byte) => byte + BYTE_OFFSET);

/**
 * Codes blocks side by side, and fills in their bytes where they are not known. Yields the bytes coded so far now and then.
 * @param decoder with as many sequences as there are blocks, or more
 */
export function* codeBlocks(
  decoder: Decoder,
  blocks: readonly Uint8Array[],
  coder: BlockCoder,
  contextBytes: number,
): Generator<number> {
  const alone = coder.begin(blocks);
  // The first is no shorter than the others by more than 1: rounds reach the longest.
  const longest = blocks.reduce((most, { length }) => Math.max(most, length), 0);
  let coded = 0;
  for (const window of windows(longest, contextBytes)) {
    for (const done of codeWindow(decoder, blocks, alone, window, coder)) yield coded + done;
    coded += blocks.reduce((sum, { length }) => sum + Math.max(0, Math.min(length, window.to) - window.from), 0);
  }
  coder.end();
}

/** @param alone [blocks] which of them need no predictions, so that nothing of them is read */
function* codeWindow(
  decoder: Decoder,
  blocks: readonly Uint8Array[],
  alone: readonly boolean[],
  { first, from, to }: Window,
  coder: BlockCoder,
): Generator<number> {
  const V = decoder.config.vocabSize;
  const { known } = coder;
  const others = Array.from({ length: decoder.sequences - blocks.length }, (): number[] => []);
  const rows = (ids: (block: Uint8Array) => number[]) => [
    ...blocks.map((block, r) => (alone[r] ? [] : ids(block))),
    ...others,
  ];
  /** Bytes of the blocks that the next pass reads; the last of a window is predicted, and not read. */
  const following = (at: number) => (block: Uint8Array) =>
    idsOf(block.subarray(at, Math.min(at + (known ? PASS_BYTES : 1), to - 1, block.length - 1)));

  for (let r = 0; r < decoder.sequences; r++) decoder.restart(r);
  const contexts = rows((block) => {
    if (from >= block.length) return [];
    return [...(first === 0 ? [BOS] : []), ...idsOf(block.subarray(first, from))];
  });
  /** The logits of the byte that comes next, in the last rows of these. */
  let newest = decoder.feed(contexts);
  let coded = 0;
  for (let at = from; at < to; at += known ? PASS_BYTES : 1) {
    const before = newest;
    if (known) newest = decoder.feed(rows(following(at)), { all: true });
    for (let i = at; i < Math.min(to, at + (known ? PASS_BYTES : 1)); i++) {
      for (const [r, block] of blocks.entries()) {
        if (i >= block.length) continue;
        const logits = i === at ? before[r] : newest[r];
        coder.code(r, i, logits, i === at ? logits.length - V : (i - at - 1) * V);
        coded++;
      }
    }
    if (!known) newest = decoder.feed(rows(following(at)));
    if (known || (at - from) % PASS_BYTES === 0) yield coded;
  }
}
