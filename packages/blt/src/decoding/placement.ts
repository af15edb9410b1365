/**
 * @file The index arrays of one decoding step: which new bytes there are, where they stand, which cache rows they see, and which bytes
 * the patches that they finish are made of.
 */

import { checkIds } from '@blt-ts/tensor';
import { ConfigError } from '../errors.ts';
import { type BltConfig, layoutOptions, longestText, type TransformerConfig } from '../model/config.ts';
import { hashNgrams } from '../model/hashing.ts';
import { EOS } from '../patching/vocabulary.ts';
import type { SequencePatch } from './patcher-state.ts';
import type { SlotCache } from './slot-cache.ts';

/** New bytes of all sequences, laid end to end; n of them. */
export interface ByteStep {
  readonly bytes: number;
  /** [sequences+1] first new byte of each sequence, then n. */
  readonly starts: readonly number[];
  /** [n] */
  readonly ids: Int32Array;
  /** [n, tables] rows of the fused hash table; null without hash embeddings. */
  readonly hashIds: Int32Array | null;
  /** [n] cache rows of the new bytes. */
  readonly slots: Int32Array;
  /** Encoder and decoder. */
  readonly local: Placement;
  /** The entropy model; null where patches do not need it. */
  readonly patcher: Placement | null;
}

/** The place of n new rows of one stack: their positions, and the interval [lo, hi) of cache rows that each sees. */
export interface Placement {
  readonly positions: Int32Array;
  readonly lo: Int32Array;
  readonly hi: Int32Array;
  /** Sum of hi - lo. */
  readonly pairs: number;
  /** One more than the largest position. */
  readonly positionCount: number;
}

/** The bytes of F finished patches, patch after patch, and which of them each of a patch's k queries sees. */
export interface PooledBytes {
  /** Cache rows of the patches' bytes, cut at `starts` [F+1]; what follows the last of them belongs to no patch. */
  readonly bytes: Int32Array;
  readonly starts: Int32Array;
  /** [F*k] the bytes that each query sees. */
  readonly bytesLo: Int32Array;
  readonly bytesHi: Int32Array;
  /** [F*k] cache rows of the decoder's keys and values. */
  readonly rows: Int32Array;
  /** Sum of bytesHi - bytesLo. */
  readonly pairs: number;
}

/** A sequence before a step: the ids read so far, and the first position of the document they are in. */
export interface SequenceBefore {
  readonly ids: readonly number[];
  readonly documentStart: number;
}

/** @throws ConfigError if a sequence gets longer than the local models take; RangeError naming an id outside the vocabulary */
export function byteStep(
  rows: readonly ArrayLike<number>[],
  before: readonly SequenceBefore[],
  cache: SlotCache,
  config: BltConfig,
): ByteStep {
  const { window, documents } = layoutOptions(config);
  const positionCount = longestAfter(rows, before, longestText(config));
  const starts = [0];
  for (const row of rows) starts.push(starts.at(-1)! + row.length);
  const n = starts.at(-1)!;
  const [ids, positions, slots] = [new Int32Array(n), new Int32Array(n), new Int32Array(n)];
  /** [n] first position that each byte sees. */
  const firstSeen = new Int32Array(n);
  let at = 0;
  rows.forEach((row, r) => {
    let { documentStart } = before[r];
    for (let j = 0; j < row.length; j++, at++) {
      const i = before[r].ids.length + j;
      ids[at] = row[j];
      positions[at] = i;
      slots[at] = cache.slot(r, i);
      firstSeen[at] = window === null ? documentStart : Math.max(documentStart, i - window + 1);
      if (documents && row[j] === EOS) documentStart = i + 1;
    }
  });
  checkIds('decoding', ids, config.vocabSize);
  const local = placement(positions, slots, firstSeen, positionCount);
  return {
    bytes: n,
    starts,
    ids,
    hashIds: hashRows(rows, before, starts, config),
    slots,
    local,
    patcher: config.patching.mode === 'entropy' ? inChunks(local, slots, firstSeen, config.patcher!) : null,
  };
}

/** Ids of the longest sequence with the new ones. @throws ConfigError if that is more than `most` */
function longestAfter(rows: readonly ArrayLike<number>[], before: readonly SequenceBefore[], most: number): number {
  let longest = 0;
  rows.forEach((row, r) => {
    const length = before[r].ids.length + row.length;
    if (length > most) {
      throw new ConfigError(
        `decoding: text ${r} would have ${length} bytes, the model takes ${most}; begin anew with its last part`,
      );
    }
    longest = Math.max(longest, length);
  });
  return longest;
}

/** Each new row sees the positions from `firstSeen` to its own; they lie side by side in the cache. */
function placement(positions: Int32Array, slots: Int32Array, firstSeen: Int32Array, positionCount: number): Placement {
  const hi = slots.map((slot) => slot + 1);
  const lo = slots.map((slot, at) => slot - positions[at] + firstSeen[at]);
  const pairs = hi.reduce((sum, end, at) => sum + end - lo[at], 0);
  return { positions, lo, hi, pairs, positionCount };
}

/** The entropy model scores sequences longer than its context in chunks, each starting afresh (see scoreEntropies). */
function inChunks(
  local: Placement,
  slots: Int32Array,
  firstSeen: Int32Array,
  { maxPositionEmbeddings: context }: TransformerConfig,
): Placement {
  const { positions, positionCount } = local;
  if (positionCount <= context) return local;
  const inChunk = positions.map((i) => i % context);
  const seen = firstSeen.map((first, at) => Math.max(first, positions[at] - inChunk[at]));
  return { ...placement(positions, slots, seen, context), positions: inChunk };
}

/** `hashNgrams` of the new bytes alone, each sequence's windows reaching back into what was read before. */
function hashRows(
  rows: readonly ArrayLike<number>[],
  before: readonly SequenceBefore[],
  starts: readonly number[],
  { hash }: BltConfig,
): Int32Array | null {
  const tables = hash.functions * hash.groupSizes.length;
  if (tables === 0) return null;
  // biome-ignore lint/plugin: the sizes of a config, at most 64
  const lookBack = Math.max(...hash.groupSizes) - 1;
  const out = new Int32Array(starts.at(-1)! * tables);
  rows.forEach((row, r) => {
    if (row.length === 0) return;
    const past = before[r].ids.slice(Math.max(0, before[r].ids.length - lookBack));
    const window = new Int32Array(past.length + row.length);
    window.set(past);
    window.set(row, past.length);
    out.set(hashNgrams(window, hash, past.length), starts[r] * tables);
  });
  return out;
}

/**
 * @param byteSlots of the bytes   @param patchSlots of the queries, k for each patch
 * @param grain more than 8 bytes are made a multiple of it by repeating the last one (8 and fewer rows may be multiplied in another
 *   order), so that the patches of many sequences have few lengths together and recordings are met again
 */
export function pooledBytes(
  finished: readonly SequencePatch[],
  byteSlots: SlotCache,
  patchSlots: SlotCache,
  k: number,
  grain: number,
): PooledBytes {
  const F = finished.length;
  const starts = new Int32Array(F + 1);
  finished.forEach(({ patch }, f) => {
    starts[f + 1] = starts[f] + patch.end - patch.start;
  });
  const bytes = new Int32Array(starts[F] > 8 ? grain * Math.ceil(starts[F] / grain) : starts[F]);
  const [bytesLo, bytesHi, rows] = [new Int32Array(F * k), new Int32Array(F * k), new Int32Array(F * k)];
  let pairs = 0;
  finished.forEach(({ sequence, patch }, f) => {
    const first = byteSlots.slot(sequence, patch.start);
    for (let i = starts[f]; i < starts[f + 1]; i++) bytes[i] = first + i - starts[f];
    bytesLo.fill(starts[f], f * k, (f + 1) * k);
    bytesHi.fill(starts[f + 1], f * k, (f + 1) * k);
    for (let j = 0; j < k; j++) rows[f * k + j] = patchSlots.slot(sequence, patch.index * k + j);
    pairs += k * (starts[f + 1] - starts[f]);
  });
  bytes.fill(bytes[starts[F] - 1], starts[F]);
  return { bytes, starts, bytesLo, bytesHi, rows, pairs };
}
