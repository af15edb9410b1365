/** @file The index arrays of one decoding step: which new bytes there are, where they stand, and which cache rows they see. */

import { checkIds } from '@blt-ts/tensor';
import { ConfigError } from '../errors.ts';
import type { BltConfig } from '../model/config.ts';
import { layoutOptions, longestText } from '../model/config.ts';
import { hashNgrams } from '../model/hashing.ts';
import { EOS } from '../patching/vocabulary.ts';
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
  const starts = [0];
  for (const row of rows) starts.push(starts.at(-1)! + row.length);
  const n = starts.at(-1)!;
  const ids = new Int32Array(n);
  const positions = new Int32Array(n);
  const slots = new Int32Array(n);
  const lo = new Int32Array(n);
  const hi = new Int32Array(n);
  const longest = longestText(config);
  // The entropy model scores sequences longer than its context in chunks, each starting afresh (see scoreEntropies).
  const context = config.patching.mode === 'entropy' ? config.patcher!.maxPositionEmbeddings : Number.POSITIVE_INFINITY;
  const patcherLo = new Int32Array(n);
  let [pairs, patcherPairs, positionCount] = [0, 0, 0];
  let at = 0;
  rows.forEach((row, r) => {
    const first = before[r].ids.length;
    let { documentStart } = before[r];
    if (first + row.length > longest) {
      throw new ConfigError(
        `decoding: text ${r} would have ${first + row.length} bytes, the model takes ${longest}; begin anew with its last part`,
      );
    }
    for (let j = 0; j < row.length; j++, at++) {
      const i = first + j;
      ids[at] = row[j];
      positions[at] = i;
      const seen = window === null ? documentStart : Math.max(documentStart, i - window + 1);
      const patcherSeen = Math.max(seen, i - (i % context));
      slots[at] = cache.slot(r, i);
      hi[at] = slots[at] + 1;
      lo[at] = hi[at] - 1 - i + seen;
      patcherLo[at] = hi[at] - 1 - i + patcherSeen;
      pairs += i + 1 - seen;
      patcherPairs += i + 1 - patcherSeen;
      if (documents && row[j] === EOS) documentStart = i + 1;
    }
    positionCount = Math.max(positionCount, first + row.length);
  });
  checkIds('decoding', ids, config.vocabSize);
  const local = { positions, lo, hi, pairs, positionCount };
  let patcher: Placement | null = null;
  if (config.patching.mode === 'entropy') {
    patcher =
      positionCount <= context
        ? local
        : {
            positions: positions.map((i) => i % context),
            lo: patcherLo,
            hi,
            pairs: patcherPairs,
            positionCount: context,
          };
  }
  return {
    bytes: n,
    starts,
    ids,
    hashIds: hashRows(rows, before, starts, config),
    slots,
    local,
    patcher,
  };
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
    out.set(hashNgrams(window, hash).subarray(past.length * tables), starts[r] * tables);
  });
  return out;
}
