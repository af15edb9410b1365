/**
 * @file Counts of what followed each context, bit by bit. A byte is eight decisions, first the highest bit, and a context together with
 * the bits so far has one counter: an estimate of P(next bit = 1), how often it was seen, and the last two bits that followed.
 *
 * Counters lie in buckets of eight 32-bit words: a tag, and the seven counters of three decisions in a row (the last bucket of a byte
 * holds two decisions). A byte so costs three looks into the table for each context. All contexts share one table of fixed size. A
 * context that is new takes the place of the one seen less often of the two it may lie in, so memory stays as it is.
 * @see Mahoney 2005, Adaptive weighing of context models for lossless data compression (PAQ6); Mahoney 2007, lpaq1
 */
import { hash32 } from '@blt-ts/tensor';

/** Words of a bucket. */
const BUCKET = 8;
/** A counter: P in the upper 16 bits, the last two bits in bits 8 and 9, times seen in the lower 8. This one has seen nothing. */
const UNSEEN = 0x8000 << 16;
/** Beyond so many the estimate goes on adapting at the same pace. */
const MOST_SEEN = 127;
/** The n-th observation moves the estimate by this share of its error: the mean of what was seen and of half a bit. */
const RATES = Float64Array.from({ length: MOST_SEEN + 1 }, (_, n) => 1 / (n + 1.5));

/** Bits of a byte that the buckets begin with: decision 0, 3 and 6. */
export const GROUP_STARTS = [0, 3, 6] as const;

/** Times that a counter was updated, at most 127. */
export const timesSeen = (counter: number): number => counter & 0xff;

const NO_BUCKETS = 'BitCounters: the logarithm of the number of buckets must be a whole number from 1 to 26';

/** A hashed table of counters. */
export class BitCounters {
  private readonly words: Int32Array;
  private readonly shift: number;

  /** @param logBuckets the table has 2^logBuckets buckets of 32 bytes   @throws RangeError if that is no whole number 1 .. 26 */
  constructor(logBuckets: number) {
    if (!Number.isInteger(logBuckets) || logBuckets < 1 || logBuckets > 26) {
      throw new RangeError(`${NO_BUCKETS}, got ${logBuckets}`);
    }
    this.words = new Int32Array(BUCKET << logBuckets);
    this.shift = 32 - logBuckets;
  }

  /** Size of the table. */
  get memoryBytes(): number {
    return this.words.byteLength;
  }

  /** Where the bucket of a hash lies; -1 if it is not there. */
  find(hash: number): number {
    const at = (hash >>> this.shift) * BUCKET;
    const tag = hash | 1;
    if (this.words[at] === tag) return at;
    const other = at ^ BUCKET;
    return this.words[other] === tag ? other : -1;
  }

  /** Where the bucket of a hash lies, which is made if it is not there. */
  findOrMake(hash: number): number {
    const found = this.find(hash);
    if (found >= 0) return found;
    const { words } = this;
    const first = (hash >>> this.shift) * BUCKET;
    const other = first ^ BUCKET;
    const at = timesSeen(words[first + 1]) <= timesSeen(words[other + 1]) ? first : other;
    words[at] = hash | 1;
    words.fill(UNSEEN, at + 1, at + BUCKET);
    return at;
  }

  /** The counter of a node (1 .. 7) of a bucket. @param bucket -1: one that has seen nothing */
  counter(bucket: number, node: number): number {
    return bucket < 0 ? UNSEEN : this.words[bucket + node];
  }

  /** Counts a bit. */
  count(bucket: number, node: number, bit: number): void {
    const { words } = this;
    const counter = words[bucket + node];
    const seen = counter & 0xff;
    const p = counter >>> 16;
    const moved = (p + (bit * 0xffff - p) * RATES[seen]) | 0;
    const kept = Math.max(16, Math.min(0xffef, moved));
    const history = (((counter >>> 7) & 2) | bit) << 8;
    words[bucket + node] = (kept << 16) | history | (seen < MOST_SEEN ? seen + 1 : seen);
  }
}

/** The hash of a context and the bits of the byte so far. @param node 1, then those bits behind it */
export const bucketHash = (context: number, node: number): number => hash32(context, node);
