/**
 * @file The longest earlier place where the text went as it does now, and the byte that followed there. A long match is nearly always
 * right, and no context of fixed length says so.
 * @see Mahoney 2007, lpaq1 (MatchModel); Liu et al. 2024, Infini-gram: n-grams as long as the text has them
 */

import type { History } from './history.ts';
import { roughStretch } from './logistic.ts';

/** Shortest match that is looked for. */
const LEAST_BYTES = 6;
/** Longer matches count as this long. */
const MOST_BYTES = 63;
/** Binary logarithm of the entries of the table that says where a 6-gram was last seen. A text that goes on from another has few of its own. */
const [LOG_PLACES, LOG_OWN_PLACES] = [20, 14];
/** Beyond so many observations the estimate goes on adapting at the same pace. */
const MOST_SEEN = 1000;

/** How often a match is right. Learned. */
export class MatchTrust {
  /** P(the next bit is that of the match), by the length of the match. */
  readonly probabilities = Float64Array.from({ length: MOST_BYTES + 1 }, (_, length) => 1 - 0.5 / (length + 1.5));
  /** Observations behind each of them. */
  readonly seen = new Float64Array(MOST_BYTES + 1);

  /** The same probabilities in arrays of their own. */
  copy(): MatchTrust {
    const other = new MatchTrust();
    other.probabilities.set(this.probabilities);
    other.seen.set(this.seen);
    return other;
  }

  learn(length: number, right: 0 | 1): void {
    const { probabilities, seen } = this;
    const moved = probabilities[length] + (right - probabilities[length]) / (seen[length] + 1.5);
    probabilities[length] = Math.min(0.9999, Math.max(0.0001, moved));
    if (seen[length] < MOST_SEEN) seen[length]++;
  }
}

/** Follows one earlier place through the text for as long as it agrees. */
export class LongestMatch {
  readonly trust: MatchTrust;
  private readonly history: History;
  private readonly before: LongestMatch | null;
  private readonly logPlaces: number;
  private readonly places: Int32Array;
  private from = 0;
  private bytes = 0;

  /** @param before that of the text that `history` goes on from: matches are looked for there too, and it is not changed */
  constructor(history: History, trust: MatchTrust, before: LongestMatch | null = null) {
    this.history = history;
    this.trust = trust;
    this.before = before;
    this.logPlaces = before ? LOG_OWN_PLACES : LOG_PLACES;
    this.places = new Int32Array(1 << this.logPlaces);
  }

  /** Length of the match in bytes, at most 63; 0 = there is none. */
  get length(): number {
    return Math.min(this.bytes, MOST_BYTES);
  }

  /** The byte that followed; -1 without a match. */
  get predicted(): number {
    return this.bytes > 0 ? this.history.at(this.from) : -1;
  }

  /** The stretched probability that the next bit is 1, as far as the match knows; 0 where it knows nothing. @param agreed whether the bits so far are those of the match */
  input(agreed: boolean, decision: number): number {
    if (!agreed) return 0;
    const sure = roughStretch(this.trust.probabilities[this.length]);
    return (this.predicted >> (7 - decision)) & 1 ? sure : -sure;
  }

  /** Learns from a byte whether the match was right. To be called before `append`. */
  learn(byte: number): void {
    if (this.bytes === 0) return;
    const { length } = this;
    const wrong = this.predicted ^ byte;
    const agreeing = wrong === 0 ? 8 : Math.clz32(wrong) - 24;
    for (let i = 0; i < Math.min(8, agreeing + 1); i++) this.trust.learn(length, i < agreeing ? 1 : 0);
  }

  /** Goes on by the byte that the history has just taken. */
  follow(byte: number): void {
    const { history } = this;
    if (this.bytes > 0 && history.at(this.from) === byte) {
      this.bytes++;
      this.from++;
    } else this.bytes = 0;
    if (history.length < LEAST_BYTES) return;
    const hash = history.hash(LEAST_BYTES);
    const from = this.bytes === 0 ? this.lastSeen(hash) : 0;
    if (from > 0) this.begin(from);
    this.places[hash >>> (32 - this.logPlaces)] = history.length;
  }

  /** Where a 6-gram of that hash ended last; 0 = nowhere. */
  private lastSeen(hash: number): number {
    return this.places[hash >>> (32 - this.logPlaces)] || (this.before?.lastSeen(hash) ?? 0);
  }

  /** Takes up the match that ends before `from`, if it is long enough. */
  private begin(from: number): void {
    const { history } = this;
    let same = 0;
    while (same <= MOST_BYTES && same < from && history.at(from - 1 - same) === history.at(history.length - 1 - same))
      same++;
    if (same < LEAST_BYTES) return;
    this.bytes = same;
    this.from = from;
  }
}
