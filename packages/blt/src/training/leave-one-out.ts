/**
 * @file Leave one out: n-grams that a row would meet for the second time are hidden from it.
 *
 * After the first pass the hash tables know what followed each n-gram. A row that is seen again finds its own answers there, and the model
 * learns to trust them. On new text most long n-grams are new, so this trust costs bits. From the second pass on, an n-gram that
 * the corpus has n times is therefore hidden with probability min(1, r/n), and with it all longer ones that end at the same byte. An n-gram that
 * the corpus has nowhere else is always hidden. With the rate r = 1 a row meets each n-gram as often hidden as this occurrence is among all of
 * them. A table that has seen a row many times knows more of it than that, so that more passes need a higher rate. A hidden n-gram reads some row of its table, drawn at random, because a new one does so too:
 * its hash falls on a row that belongs to others.
 */
import { counterUniform, hash32, type Random } from '@blt-ts/tensor';
import type { Rows, TrainingRow } from './packing.ts';

/** Counts are exact up to here. More make no difference. */
const MOST_COUNTED = 255;
/** Binary logarithm of the number of counters for each size. English has less than one n-gram of a size for each byte. */
const LOG_COUNTERS = { least: 16, most: 24 };

/** Hash of the n-gram that ends with id i. */
function ngramHash(ids: Int32Array, i: number, size: number): number {
  let h = size;
  for (let j = i - size + 1; j <= i; j++) h = Math.imul(h ^ ids[j], 0x01000193) ^ (h >>> 13);
  return hash32(h, size);
}

/** How often a corpus has its n-grams, by size, in hashed counters: two n-grams that fall together seem more frequent. */
export class NgramCounts {
  private readonly counters: ReadonlyMap<number, Uint8Array>;
  private readonly shift: number;

  /** @param sizes of n-grams, in ids */
  constructor(documents: readonly Int32Array[], sizes: readonly number[]) {
    const total = documents.reduce((sum, ids) => sum + ids.length, 0);
    const { least, most } = LOG_COUNTERS;
    const log = Math.min(most, Math.max(least, Math.ceil(Math.log2(4 * Math.max(1, total)))));
    this.shift = 32 - log;
    this.counters = new Map(sizes.map((size) => [size, new Uint8Array(2 ** log)]));
    for (const [size, counts] of this.counters) {
      for (const ids of documents) {
        for (let i = size - 1; i < ids.length; i++) {
          const at = ngramHash(ids, i, size) >>> this.shift;
          if (counts[at] < MOST_COUNTED) counts[at]++;
        }
      }
    }
  }

  /** Times that the corpus has the n-gram that ends with id i, at most 255. An n-gram that begins before the row is no n-gram of it: 255. */
  of(ids: Int32Array, i: number, size: number): number {
    if (i < size - 1) return MOST_COUNTED;
    return this.counters.get(size)![ngramHash(ids, i, size) >>> this.shift];
  }
}

/**
 * The size of the longest n-gram that is not hidden, for each id of a row; 0: all are.
 * @param sizes of n-grams, rising   @param seed of the row   @param rate an n-gram that the corpus has n times is hidden with probability min(1, rate/n)
 */
export function longestShown(
  ids: Int32Array,
  counts: NgramCounts,
  sizes: readonly number[],
  seed: number,
  rate = 1,
): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(ids, (_, i) => {
    let longest = 0;
    for (const [s, size] of sizes.entries()) {
      if (counterUniform(seed, i * sizes.length + s) * counts.of(ids, i, size) < rate) break;
      longest = size;
    }
    return longest;
  });
}

/** Hides n-grams in the rows of all passes but the first. The corpus is counted when the second one begins. */
export class LeaveOneOut {
  private readonly documents: readonly Int32Array[];
  private readonly sizes: readonly number[];
  private readonly rate: number;
  private counts: NgramCounts | null = null;

  /** @param documents the training part   @param groupSizes of the model's n-grams   @param rate see `longestShown` */
  constructor(documents: readonly Int32Array[], groupSizes: readonly number[], rate = 1) {
    this.documents = documents;
    this.rate = rate;
    this.sizes = [...new Set(groupSizes)].sort((a, b) => a - b);
  }

  /** The same rows with n-grams hidden. @param random the stream of their pass */
  rows(rows: Rows<TrainingRow>, random: Random): Rows<TrainingRow> {
    const { sizes, rate } = this;
    this.counts ??= new NgramCounts(this.documents, sizes);
    const { counts } = this;
    const seed = random.fork('leave one out').uint32();
    return {
      length: rows.length,
      at: (index) => {
        const row = rows.at(index);
        const own = hash32(seed, index);
        const hiddenNgrams = { longestShown: longestShown(row.ids, counts, sizes, own, rate), seed: hash32(own, 1) };
        return { ...row, hiddenNgrams };
      },
    };
  }
}
