/**
 * @file A memory of text: it counts what followed each context in the bytes it has read, and predicts the next byte from the counts. It
 * is a compressor's model (PAQ, cmix), not a network: reading a byte takes microseconds, and what was read once can be used at once.
 *
 *   contexts (history.ts) -> counters (bit-counters.ts) -> what they mean (learned-map.ts) -> one prediction (logistic-mixer.ts)
 *
 * A byte is eight decisions. `node` names a decision: 1, followed by the bits decided before, so 1 is the first and 128 to 255 are the
 * last ones. Everything is + - * / on float64 and 32-bit integers, so that every machine computes the same bits.
 */
import { BitCounters, GROUP_STARTS, timesSeen } from './bit-counters.ts';
import { CONTEXTS, History, ORDERS } from './history.ts';
import { entryOf, LearnedMap } from './learned-map.ts';
import { roughStretch } from './logistic.ts';
import { LogisticMixer } from './logistic-mixer.ts';
import { LongestMatch, MatchTrust } from './longest-match.ts';

/** Decisions of a byte. */
export const DECISIONS = 8;
/** Two inputs for each context, one for the match, and a constant. */
const INPUTS = 2 * CONTEXTS + 2;
const CONSTANT = 0.3;
/** Values of `matchStep`. */
export const MATCH_STEPS = 14;
/** Values of `longest`. */
export const LENGTHS = ORDERS.length + 1;
const BUCKET_BYTES = 16;
/** Smallest and largest tables, in buckets: 1 MiB and 128 MiB. */
const [LEAST_LOG, MOST_LOG] = [16, 23];
/** Buckets for each byte of text expected: English takes about six. */
const BUCKETS_PER_BYTE = 8;

/** 0 without a match, then by its length: in twos to 15, in eights to 31, in sixteens to 63. */
function stepOfMatch(length: number): number {
  if (length < 16) return length === 0 ? 0 : 1 + (length >> 1);
  return length < 32 ? 9 + ((length - 16) >> 3) : 11 + ((length - 32) >> 4);
}

/** Binary logarithm of the number of buckets of a table. */
const logBuckets = (textBytes: number): number =>
  Math.min(MOST_LOG, Math.max(LEAST_LOG, Math.ceil(Math.log2(Math.max(1, BUCKETS_PER_BYTE * textBytes)))));

const newMixer = () =>
  new LogisticMixer({
    selectors: [MATCH_STEPS, 256, LENGTHS * LENGTHS],
    start: [...Array(INPUTS - 1).fill(0.15), 0],
    rate: 0.002,
    leastRate: 0.0005,
    halfLife: 20_000,
  });

/** The predictions of the mixer's vectors, weighted by what is decided instead of averaged. */
const newFinalMixer = (vectors: number) =>
  new LogisticMixer({
    selectors: [256],
    start: Array(vectors).fill(1 / vectors),
    rate: 0.0005,
    leastRate: 0.0005,
    halfLife: 1,
  });

/** All that a memory has learned of the texts it read, but for the texts. */
class Knowledge {
  readonly counters: BitCounters;
  readonly maps: readonly LearnedMap[];
  readonly mixer: LogisticMixer;
  readonly finalMixer: LogisticMixer;
  readonly trust: MatchTrust;

  constructor(counters: BitCounters, from?: Knowledge) {
    this.counters = counters;
    this.maps = Array.from({ length: CONTEXTS }, (_, k) => from?.maps[k].copy() ?? new LearnedMap());
    this.mixer = from?.mixer.copy() ?? newMixer();
    this.finalMixer = from?.finalMixer.copy() ?? newFinalMixer(this.mixer.selectors);
    this.trust = from?.trust.copy() ?? new MatchTrust();
  }

  copy(): Knowledge {
    return new Knowledge(this.counters.copy(), this);
  }
}

/** Counts of a text and the predictions that follow from them. */
export class TextMemory {
  readonly history: History;
  readonly match: LongestMatch;
  readonly maps: readonly LearnedMap[];
  readonly mixer: LogisticMixer;
  readonly finalMixer: LogisticMixer;
  private readonly knowledge: Knowledge;
  private readonly counters: BitCounters;
  private readonly buckets = new Int32Array(CONTEXTS);
  // What each of the eight decisions was predicted from, for learning from what came.
  private readonly x = new Float64Array(DECISIONS * INPUTS);
  private readonly entries = new Int32Array(DECISIONS * CONTEXTS);
  private readonly chosen: Int32Array;
  private readonly dots: Float64Array;
  private readonly nodes = new Int32Array(DECISIONS);
  private readonly sums = new Float64Array(DECISIONS);

  /** Bytes of the table of a memory of so much text, which is nearly all that it takes: 1 MiB to 128 MiB. */
  static tableBytes(textBytes: number): number {
    return BUCKET_BYTES * 2 ** logBuckets(textBytes);
  }

  /**
   * @param textBytes length of the text to be read, from which the size of the table follows; more may be read
   * @param before a memory from whose text this one goes on. It shares what it learns with that one (see `reader`)
   * @param apart it has a copy instead (see `fork`)
   */
  constructor(textBytes: number, before: TextMemory | null = null, apart = false) {
    const known = before?.knowledge ?? new Knowledge(new BitCounters(logBuckets(textBytes)));
    const knowledge = apart ? known.copy() : known;
    this.knowledge = knowledge;
    this.counters = knowledge.counters;
    this.maps = knowledge.maps;
    this.mixer = knowledge.mixer;
    this.finalMixer = knowledge.finalMixer;
    this.history = new History(textBytes, before?.history);
    this.match = new LongestMatch(this.history, knowledge.trust, before?.match);
    this.chosen = new Int32Array(DECISIONS * this.mixer.selectors);
    this.dots = new Float64Array(DECISIONS * this.mixer.selectors);
  }

  /**
   * Reads another text, going on from where this one is now. Both learn from what either reads, as soon as it is read, so several texts may
   * be read in turns.
   * @param textBytes length of that text; more may be read
   */
  reader(textBytes: number): TextMemory {
    return new TextMemory(textBytes, this);
  }

  /** The same as `reader`, with a copy of what was learned: this memory stays as it is. */
  fork(textBytes: number): TextMemory {
    return new TextMemory(textBytes, this, true);
  }

  /** Size of the table of counters. */
  get memoryBytes(): number {
    return this.counters.memoryBytes;
  }

  /** The order of the longest n-gram context that was seen before the decision predicted last in this place; 0 = none. */
  longest(decision: number): number {
    return Math.floor(this.chosen[decision * this.mixer.selectors + 2] / LENGTHS);
  }

  /** How long the match is that still agrees, in steps. */
  matchStep(decision: number): number {
    return this.chosen[decision * this.mixer.selectors];
  }

  /** Asks for the buckets of all contexts at once. @param begin the node that they begin with */
  private prefetch(begin: number): void {
    for (let k = 0; k < CONTEXTS; k++) this.counters.prefetch(this.history.contexts[k], begin);
  }

  /** Finds the counters of a decision and of those that share its buckets. */
  lookUp(decision: number, node: number): void {
    const begin = node >> (decision % 3);
    const { contexts } = this.history;
    for (let k = 0; k < CONTEXTS; k++) this.buckets[k] = this.counters.find(contexts[k], begin);
  }

  /**
   * The stretched probability that a decision is 1. Decisions 0, 3 and 6 look up the counters of those behind them, so a path is asked for
   * from its beginning. Nothing is changed that a later prediction depends on.
   */
  predict(decision: number, node: number): number {
    const { x, entries, counters, buckets, mixer } = this;
    if (decision % 3 === 0) this.lookUp(decision, node);
    const local = localNode(decision, node);
    let at = decision * INPUTS;
    let [longest, sure] = [0, 0];
    for (let k = 0; k < CONTEXTS; k++) {
      const counter = counters.counter(buckets[k], local);
      const entry = entryOf(counter);
      entries[decision * CONTEXTS + k] = entry;
      const times = timesSeen(counter);
      if (times === 0) {
        x[at++] = 0;
        x[at++] = 0;
        continue;
      }
      const p = this.maps[k].probabilities[entry];
      x[at++] = roughStretch(p);
      x[at++] = 4 * (p - 0.5);
      if (k < ORDERS.length) longest = k + 1;
      if (k < ORDERS.length && times > 2) sure = k + 1;
    }
    const agreed = this.agrees(decision, node);
    x[at++] = this.match.input(agreed, decision);
    x[at] = CONSTANT;
    const first = decision * mixer.selectors;
    this.chosen[first] = agreed ? stepOfMatch(this.match.length) : 0;
    this.chosen[first + 1] = node;
    this.chosen[first + 2] = longest * LENGTHS + sure;
    mixer.mix(x, decision * INPUTS, this.chosen, first, this.dots);
    this.nodes[decision] = node;
    return this.finalMixer.mix(this.dots, first, this.nodes, decision, this.sums);
  }

  /** Whether the bits so far are those of the byte that the match predicts. */
  private agrees(decision: number, node: number): boolean {
    const { predicted } = this.match;
    return predicted >= 0 && (predicted | 0x100) >> (DECISIONS - decision) === node;
  }

  /** Learns from a byte whose eight decisions were predicted just before, and reads it. */
  learn(byte: number): void {
    const { mixer, x, entries } = this;
    for (let decision = 0; decision < DECISIONS; decision++) {
      const bit = (byte >> (7 - decision)) & 1;
      const first = decision * mixer.selectors;
      this.finalMixer.learn(this.dots, first, this.nodes, decision, this.sums, bit);
      mixer.learn(x, decision * INPUTS, this.chosen, first, this.dots, bit);
      for (let k = 0; k < CONTEXTS; k++) this.maps[k].learn(entries[decision * CONTEXTS + k], bit);
    }
    this.match.learn(byte);
    this.read(byte);
  }

  /** Predicts each decision of a byte that is known, learns from it, and reads it. */
  study(byte: number): void {
    for (let decision = 0; decision < DECISIONS; decision++) {
      this.predict(decision, (byte | 0x100) >> (DECISIONS - decision));
    }
    this.learn(byte);
  }

  /** Counts a byte without learning what counts mean. */
  read(byte: number): void {
    const { counters, history } = this;
    for (const start of GROUP_STARTS) this.prefetch((byte | 0x100) >> (DECISIONS - start));
    for (const start of GROUP_STARTS) {
      const begin = (byte | 0x100) >> (DECISIONS - start);
      const end = Math.min(DECISIONS, start + 3);
      for (let k = 0; k < CONTEXTS; k++) {
        const bucket = counters.findOrMake(history.contexts[k], begin);
        for (let decision = start; decision < end; decision++) {
          const node = (byte | 0x100) >> (DECISIONS - decision);
          counters.count(bucket, localNode(decision, node), (byte >> (7 - decision)) & 1);
        }
      }
    }
    history.append(byte);
    this.match.follow(byte);
  }
}

/** The number 1 .. 7 of a node within its bucket: 1, followed by the bits since the bucket began. */
const localNode = (decision: number, node: number): number => {
  const bits = decision % 3;
  return (1 << bits) | (node & ((1 << bits) - 1));
};
