/**
 * @file The probabilities that counters really mean. A counter that saw a 1 once says 0.83, but the share of such contexts that go on
 * with a 1 depends on the kind of context: seen once, six letters are surer than one. So the counter's state (times seen, last two bits,
 * estimate) names an entry of a table, and the entry is learned.
 * @see Mahoney 2005, PAQ6: indirect context models
 */
import { ESTIMATES, estimate, lastBits, timesSeen } from './bit-counters.ts';
import { roughStretch, squash } from './logistic.ts';

/** Steps of a counter's estimate: quarters of its stretched value, from -8 to 8. */
const STEPS = 64;
const TIMES = 16;
const HISTORIES = 4;
/** Entries of a map. */
const ENTRIES = STEPS * TIMES * HISTORIES;
/** Beyond so many observations an entry goes on adapting at the same pace. */
const MOST_SEEN = 1023;

const stepOf = Uint8Array.from({ length: ESTIMATES }, (_, i) =>
  Math.min(STEPS - 1, Math.max(0, Math.floor(4 * roughStretch((i + 0.5) / ESTIMATES) + STEPS / 2))),
);

/** The entry of a counter. */
export const entryOf = (counter: number): number =>
  (lastBits(counter) * TIMES + timesSeen(counter)) * STEPS + stepOf[estimate(counter)];

/** One table for each kind of context. */
export class LearnedMap {
  /** P(next bit = 1) of each entry. */
  readonly probabilities = Float64Array.from({ length: ENTRIES }, (_, entry) =>
    squash(((entry % STEPS) - (STEPS - 1) / 2) / 4),
  );
  /** Observations behind each entry. */
  readonly seen = new Float64Array(ENTRIES);

  /** The same probabilities in a table of their own. */
  copy(): LearnedMap {
    const other = new LearnedMap();
    other.probabilities.set(this.probabilities);
    other.seen.set(this.seen);
    return other;
  }

  learn(entry: number, bit: number): void {
    const { probabilities, seen } = this;
    const moved = probabilities[entry] + (bit - probabilities[entry]) / (seen[entry] + 1.5);
    probabilities[entry] = Math.max(1 / 4096, Math.min(4095 / 4096, moved));
    if (seen[entry] < MOST_SEEN) seen[entry]++;
  }
}
