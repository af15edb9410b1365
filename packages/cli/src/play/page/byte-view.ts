/** @file The things one byte of a passage sees and is: its patch, its interval in each attention, and its rows of the hash tables. */
import type { Reading } from '../messages.ts';

/** Bytes from .. to-1 of the passage; `bos`: and BOS before them. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly bos: boolean;
}

/** An n-gram that ends at the byte, and its row of its table. */
export interface NgramRow {
  /** Bytes of the n-gram. */
  readonly size: number;
  /** The part of it that lies in the passage. */
  readonly span: Span;
  /** Number of the table. */
  readonly table: number;
  /** Row within the table. */
  readonly row: number;
}

/** All that chapter 3 shows of one byte. */
export interface ByteView {
  /** Number of its patch; patch 0 is BOS alone. */
  readonly patch: number;
  readonly patchBytes: Span;
  /** Bytes that it sees in the local encoder and the local decoder. */
  readonly local: Span;
  /** Bytes that the rows of its patch read in the encoder's cross-attention. */
  readonly pooled: Span;
  /** Patches that its patch sees in the global transformer: from .. to-1. */
  readonly global: { readonly from: number; readonly to: number };
  /** Patches that the decoder reads while it predicts the next byte, as bytes; patch numbers from .. to-1. */
  readonly decoder: { readonly from: number; readonly to: number; readonly bytes: Span };
  readonly ngrams: readonly NgramRow[];
}

/** Positions from .. to-1 of a layout, where BOS has position 0. */
const span = (from: number, to: number): Span => ({
  from: Math.max(0, from - 1),
  to: Math.max(0, to - 1),
  bos: from <= 0 && to > 0,
});

/** The bytes of patches from .. to-1. */
export function bytesOfPatches({ layout }: Pick<Reading, 'layout'>, from: number, to: number): Span {
  return to <= from ? { from: 0, to: 0, bos: false } : span(layout.patchStarts[from], layout.patchStarts[to]);
}

/** Looks up byte `i` of the passage in its layout. */
export function viewOfByte(reading: Reading, i: number): ByteView {
  const { layout, hash, hashIds } = reading;
  const { k, local, global, encoderCross, decoderCross } = layout;
  const at = i + 1;
  const patch = layout.patchOfByte[at];
  const [readFrom, readTo] = [decoderCross.lo[at] / k, decoderCross.hi[at] / k];
  const tables = hash.functions * hash.groupSizes.length;
  return {
    patch,
    patchBytes: bytesOfPatches(reading, patch, patch + 1),
    local: span(local.lo[at], local.hi[at]),
    pooled: span(encoderCross.lo[patch * k], encoderCross.hi[patch * k]),
    global: { from: global.lo[patch], to: global.hi[patch] },
    decoder: { from: readFrom, to: readTo, bytes: bytesOfPatches(reading, readFrom, readTo) },
    ngrams: Array.from({ length: hashIds ? tables : 0 }, (_, table) => {
      const size = hash.groupSizes[table % hash.groupSizes.length];
      return {
        size,
        span: span(at - size + 1, at + 1),
        table,
        row: hashIds![at * tables + table] - table * hash.vocab,
      };
    }),
  };
}
