/**
 * @file The probabilities that counters really mean. A counter that saw a 1 once says 0.83, but the share of such contexts that go on
 * with a 1 depends on the kind of context: seen once, six letters are surer than one. So the counter's state (times seen, last two bits,
 * estimate) names an entry of a table, and the entry is learned.
 * @see Mahoney 2005, PAQ6: indirect context models
 */
import { timesSeen } from './bit-counters.ts';
import { roughStretch, squash } from './logistic.ts';

/** Steps of a counter's estimate: quarters of its stretched value, from -8 to 8. */
const ESTIMATES = 64;
/** Kinds of counters by times seen: each of 0 to 6 is its own. */
const TIMES = 16;
/** Counters by their last two bits. */
const HISTORIES = 4;
/** Entries of a map. */
export const MAP_ENTRIES = ESTIMATES * TIMES * HISTORIES;
/** Beyond so many observations an entry goes on adapting at the same pace. */
const MOST_SEEN = 1023;

const estimateSteps = Uint8Array.from({ length: 4096 }, (_, i) =>
  Math.min(ESTIMATES - 1, Math.max(0, Math.floor(4 * roughStretch((i + 0.5) / 4096) + ESTIMATES / 2))),
);

const timesSteps = Uint8Array.from({ length: 256 }, (_, n) => {
  if (n < 7) return n;
  return n < 9 ? 7 : n < 12 ? 8 : n < 16 ? 9 : n < 32 ? 10 : n < 64 ? 11 : n < 127 ? 12 : 13;
});

/** The entry of a counter. */
export const entryOf = (counter: number): number =>
  (((counter >>> 8) & 3) << 10) | (timesSteps[timesSeen(counter)] << 6) | estimateSteps[counter >>> 20];

/** One table for each kind of context. */
export class LearnedMap {
  /** P(next bit = 1) of each entry. */
  readonly probabilities = Float64Array.from({ length: MAP_ENTRIES }, (_, entry) =>
    squash(((entry % ESTIMATES) - (ESTIMATES - 1) / 2) / 4),
  );
  /** Observations behind each entry. */
  readonly seen = new Float64Array(MAP_ENTRIES);

  learn(entry: number, bit: number): void {
    const { probabilities, seen } = this;
    const moved = probabilities[entry] + (bit - probabilities[entry]) / (seen[entry] + 1.5);
    probabilities[entry] = Math.max(1 / 4096, Math.min(4095 / 4096, moved));
    if (seen[entry] < MOST_SEEN) seen[entry]++;
  }
}
