/**
 * @file Counts of what followed each context, bit by bit. A byte is eight decisions, first the highest bit, and a context together with
 * the bits so far has one counter: an estimate of P(next bit = 1), how often it was seen, and the last two bits that followed.
 *
 * Counters lie in buckets of eight 16-bit words: a tag, and the seven counters of three decisions in a row (the last bucket of a byte
 * holds two decisions). A byte so costs three looks into the table for each context. All contexts share one table of fixed size. A
 * context that is new takes the place of the one seen least of the four it may lie in, so memory stays as it is.
 * @see Mahoney 2005, Adaptive weighing of context models for lossless data compression (PAQ6); Mahoney 2007, lpaq1
 */
import { hash32 } from '@blt-ts/tensor';

/** Words of a bucket. */
const BUCKET = 8;
/** Buckets that a context may lie in: those of one cache line, 64 bytes. */
const WAYS = 4;
/** A counter: P in the upper 10 bits, times seen in the next 4, the last two bits in the lowest. This one has seen nothing. */
const UNSEEN = 0x8000;
/** Values of P: 0 to 1023 thousandths, nearly. */
export const ESTIMATES = 1024;
const SURE = ESTIMATES - 1;
/** Beyond so many the estimate goes on adapting at the same pace. */
const MOST_SEEN = 15;
/** The n-th observation moves the estimate by this share of its error: the mean of what was seen and of half a bit. */
const RATES = Float64Array.from({ length: MOST_SEEN + 1 }, (_, n) => 1 / (n + 1.5));

/** Bits of a byte that the buckets begin with: decision 0, 3 and 6. */
export const GROUP_STARTS = [0, 3, 6] as const;

/** P of a counter, 0 .. 1023. */
export const estimate = (counter: number): number => counter >> 6;
/** Times that a counter was updated, at most 15. */
export const timesSeen = (counter: number): number => (counter >> 2) & 15;
/** The last two bits that followed, the last one lowest. */
export const lastBits = (counter: number): number => counter & 3;

const NO_BUCKETS = 'BitCounters: the logarithm of the number of buckets must be a whole number from 2 to 26';

/** Tells contexts in the same place apart; never 0. Its bits are others than those that choose the place. */
const tagOf = (context: number, node: number): number =>
  (Math.imul(context ^ Math.imul(node, 0x2c1b3c6d), 0x297a2d39) >>> 16) | 1;

/** A hashed table of counters. Its buckets are asked for by context and node: 1, then the bits of the byte decided before the bucket. */
export class BitCounters {
  private readonly words: Uint16Array;
  private readonly shift: number;
  /** A number that nobody needs. Without it an engine may leave the reads of `prefetch` out. */
  private fetched = 0;

  /** @param logBuckets the table has 2^logBuckets buckets of 16 bytes   @throws RangeError if that is no whole number 2 .. 26 */
  constructor(logBuckets: number) {
    if (!Number.isInteger(logBuckets) || logBuckets < 2 || logBuckets > 26) {
      throw new RangeError(`${NO_BUCKETS}, got ${logBuckets}`);
    }
    this.words = new Uint16Array(BUCKET << logBuckets);
    this.shift = 32 - logBuckets;
  }

  /** The same counts in a table of their own. */
  copy(): BitCounters {
    const other = new BitCounters(32 - this.shift);
    other.words.set(this.words);
    return other;
  }

  /** Size of the table. */
  get memoryBytes(): number {
    return this.words.byteLength;
  }

  /**
   * Asks the main memory for the cache line that a bucket lies in. The table is far larger than any cache, and a look into it waits some 100
   * nanoseconds. Lines that are asked for one right after the other come side by side.
   */
  prefetch(context: number, node: number): void {
    this.fetched ^= this.words[(hash32(context, node) >>> this.shift) * BUCKET];
  }

  /** Where a bucket lies; -1 if it is not there. */
  find(context: number, node: number): number {
    const { words } = this;
    const at = (hash32(context, node) >>> this.shift) * BUCKET;
    const tag = tagOf(context, node);
    if (words[at] === tag) return at;
    if (words[at ^ BUCKET] === tag) return at ^ BUCKET;
    if (words[at ^ (2 * BUCKET)] === tag) return at ^ (2 * BUCKET);
    return words[at ^ (3 * BUCKET)] === tag ? at ^ (3 * BUCKET) : -1;
  }

  /** Where a bucket lies, which is made if it is not there. */
  findOrMake(context: number, node: number): number {
    const found = this.find(context, node);
    if (found >= 0) return found;
    const { words } = this;
    const first = (hash32(context, node) >>> this.shift) * BUCKET;
    let at = first;
    for (let way = 1; way < WAYS; way++) {
      const other = first ^ (way * BUCKET);
      if (timesSeen(words[other + 1]) < timesSeen(words[at + 1])) at = other;
    }
    words[at] = tagOf(context, node);
    words.fill(UNSEEN, at + 1, at + BUCKET);
    return at;
  }

  /** The counter of a node (1 .. 7) of a bucket. @param bucket -1: one that has seen nothing */
  counter(bucket: number, node: number): number {
    return bucket < 0 ? UNSEEN : this.words[bucket + node];
  }

  /** Counts a bit. The estimate is rounded towards the bit, so that it comes to 0 or 1023 where always the same one follows. */
  count(bucket: number, node: number, bit: number): void {
    const { words } = this;
    const counter = words[bucket + node];
    const seen = timesSeen(counter);
    const p = estimate(counter);
    const moved = bit === 1 ? p + Math.ceil((SURE - p) * RATES[seen]) : p - Math.ceil(p * RATES[seen]);
    words[bucket + node] = (moved << 6) | (Math.min(MOST_SEEN, seen + 1) << 2) | ((counter & 1) << 1) | bit;
  }
}
