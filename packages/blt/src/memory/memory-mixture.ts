/**
 * @file A network's prediction of the next byte, mixed with a memory's. Both are brought to the same form, eight decisions, and a gate
 * mixes the two stretched probabilities of each. The gate is a small logistic mixture that learns while it reads. Its weights are chosen
 * by the network's entropy, by the decision, by the pair of predictions, and by how far back the memory has seen this context.
 *
 * The network keeps its say over specials: P(EOS) is its own, and the bytes share what it leaves them.
 * @see Khandelwal et al. 2020, Generalization through Memorization (kNN-LM): a network interpolated with a memory of its training text;
 * Knoll 2017, cmix: a network as one more model of a logistic mixture
 */
import { naturalExp, naturalLog } from '@blt-ts/tensor';
import { BYTE_OFFSET } from '../patching/vocabulary.ts';
import { clamped, squash } from './logistic.ts';
import { LogisticMixer } from './logistic-mixer.ts';
import { DECISIONS, LENGTHS, MATCH_STEPS, type TextMemory } from './text-memory.ts';

/** In place of an id: it costs nothing. */
export const NOT_SCORED = -1;

const BYTES = 256;
/** The network, the memory, and a constant. */
const INPUTS = 3;
const CONSTANT = 0.3;
const ENTROPY_STEPS = 12;
/** Steps of entropy for each nat. */
const STEPS_PER_NAT = 2.5;
/** The network is never surer of a decision than this, on the stretched line. */
const SUREST = 8;
/** Added to every byte's share of the network's prediction. */
const FLOOR = 1e-7;
/** Logits so far below the largest add nothing that a float64 sum would show. */
const NEGLIGIBLE = -40;

const newGate = () =>
  new LogisticMixer({
    selectors: [ENTROPY_STEPS, BYTES, 4 * SUREST * SUREST, LENGTHS * MATCH_STEPS],
    start: [0.4, 0.65, 0],
    rate: 0.01,
    leastRate: 0.01,
    halfLife: 1,
  });

const bounded = (x: number): number => Math.min(SUREST, Math.max(-SUREST, x));
/** A whole number 0 .. 15 of a stretched probability. */
const step = (x: number): number => Math.min(2 * SUREST - 1, Math.floor(bounded(x)) + SUREST);

/** Losses of a network and a memory together. The memory may be in another thread. */
export interface MixedLosses {
  /** See `MemoryMixture.losses`. Calls must be in the order of the text; the next may come before the last has its result. */
  losses(logits: Float32Array, vocabSize: number, ids: Int32Array): Float64Array | Promise<Float64Array>;
}

/** Predicts text byte by byte from a network's logits and a memory, and learns from each byte. */
export class MemoryMixture implements MixedLosses {
  private readonly memory: TextMemory;
  private readonly gate: LogisticMixer;
  /** Mass that the network gives to the bytes that begin with the bits of a node; leaves from 256 on. */
  private readonly mass = new Float64Array(2 * BYTES);
  private entropyStep = 0;
  /** ln of the sum of exp(logit), and ln of the bytes' share of it. */
  private logTotal = 0;
  private logBytes = 0;
  private readonly x = new Float64Array(DECISIONS * INPUTS);
  private readonly chosen: Int32Array;
  private readonly dots: Float64Array;

  /** @param memory is read and goes on learning; it must belong to nobody else   @param beside see `reader` */
  constructor(memory: TextMemory, beside: MemoryMixture | null = null) {
    this.memory = memory;
    this.gate = beside?.gate ?? newGate();
    this.chosen = new Int32Array(DECISIONS * this.gate.selectors);
    this.dots = new Float64Array(DECISIONS * this.gate.selectors);
  }

  /**
   * -ln P(id) in nats for the id that follows, which is then read and learned from if it is a byte.
   * @param logits the network's, one for each id of the vocabulary; the row begins at `at`
   */
  score(logits: Float32Array, vocabSize: number, id: number, at = 0): number {
    this.takeLogits(logits, vocabSize, at);
    if (id < BYTE_OFFSET) return this.logTotal - logits[at + id];
    const byte = id - BYTE_OFFSET;
    const nats = -(this.logBytes + naturalLog(this.follow(byte)));
    this.learn(byte);
    return nats;
  }

  /**
   * `score` of many ids, one row of logits each. An id of NOT_SCORED has been read before: its loss is 0, and nothing is learned from it.
   * @returns losses in nats
   */
  losses(logits: Float32Array, vocabSize: number, ids: Int32Array): Float64Array {
    return Float64Array.from(ids, (id, i) =>
      id === NOT_SCORED ? 0 : this.score(logits, vocabSize, id, i * vocabSize),
    );
  }

  /** Reads a byte that nobody predicted: a prompt. */
  read(byte: number): void {
    this.memory.study(byte);
  }

  /** Predicts another text, going on from where this one is now. Both learn from what either reads. @param textBytes its length */
  reader(textBytes: number): MemoryMixture {
    return new MemoryMixture(this.memory.reader(textBytes), this);
  }

  /** ln P of every id of the vocabulary, after the bytes read so far. Nothing is read or learned. */
  logProbabilities(logits: Float32Array): Float32Array {
    this.takeLogits(logits, logits.length, 0);
    const all = new Float32Array(logits.length);
    for (let id = 0; id < BYTE_OFFSET; id++) all[id] = logits[id] - this.logTotal;
    this.descend(0, 1, 1, all);
    return all;
  }

  /** Fills in the bytes below a node whose probability is known. */
  private descend(decision: number, node: number, probability: number, all: Float32Array): void {
    if (decision === DECISIONS) {
      all[BYTE_OFFSET + node - BYTES] = this.logBytes + naturalLog(probability);
      return;
    }
    const one = this.decide(decision, node);
    this.descend(decision + 1, 2 * node, probability * (1 - one), all);
    // The way down the left has looked up other counters meanwhile.
    if ((decision + 1) % 3 !== 0) this.memory.lookUp(decision + 1, 2 * node + 1);
    this.descend(decision + 1, 2 * node + 1, probability * one, all);
  }

  /** The probability of a byte, decision by decision. */
  private follow(byte: number): number {
    let probability = 1;
    for (let decision = 0; decision < DECISIONS; decision++) {
      const one = this.decide(decision, (byte | BYTES) >> (DECISIONS - decision));
      probability *= (byte >> (7 - decision)) & 1 ? one : 1 - one;
    }
    return probability;
  }

  /** Learns from the byte whose eight decisions were asked for just before, and reads it. */
  learn(byte: number): void {
    const { gate } = this;
    for (let decision = 0; decision < DECISIONS; decision++) {
      const bit = (byte >> (7 - decision)) & 1;
      gate.learn(this.x, decision * INPUTS, this.chosen, decision * gate.selectors, this.dots, bit);
    }
    this.memory.learn(byte);
  }

  /**
   * P(a decision is 1), where it is none of the specials, between 2^-16 and 1 - 2^-16. The eight of a byte are asked for in their order.
   * @param decision 0 .. 7, the highest bit first   @param node 1, followed by the bits decided before
   */
  decide(decision: number, node: number): number {
    const { memory, gate, mass, x, chosen } = this;
    const remembered = memory.predict(decision, node);
    const network = bounded(naturalLog(mass[2 * node + 1] / mass[2 * node]));
    const at = decision * INPUTS;
    x[at] = network;
    x[at + 1] = remembered;
    x[at + 2] = CONSTANT;
    const first = decision * gate.selectors;
    chosen[first] = this.entropyStep;
    chosen[first + 1] = node;
    chosen[first + 2] = step(network) * 2 * SUREST + step(remembered);
    chosen[first + 3] = memory.longest(decision) * MATCH_STEPS + memory.matchStep(decision);
    return clamped(squash(gate.mix(x, at, chosen, first, this.dots)));
  }

  /** Takes the network's prediction of the byte whose decisions come next: softmax of the logits, summed up for each node, and its entropy. */
  takeLogits(logits: Float32Array, vocabSize: number, at: number): void {
    const { mass } = this;
    const first = at + BYTE_OFFSET;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = first; i < at + vocabSize; i++) if (logits[i] > most) most = logits[i];
    let [sum, weighted] = [0, 0];
    for (let byte = 0; byte < BYTES; byte++) {
      const below = logits[first + byte] - most;
      const e = below < NEGLIGIBLE ? 0 : naturalExp(below);
      mass[BYTES + byte] = e;
      sum += e;
      if (e > 0) weighted += e * below;
    }
    const logSum = naturalLog(sum);
    const entropy = logSum - weighted / sum;
    this.entropyStep = Math.max(0, Math.min(ENTROPY_STEPS - 1, Math.floor(entropy * STEPS_PER_NAT)));
    for (let leaf = BYTES; leaf < 2 * BYTES; leaf++) mass[leaf] = mass[leaf] / sum + FLOOR;
    for (let node = BYTES - 1; node > 0; node--) mass[node] = mass[2 * node] + mass[2 * node + 1];
    this.logTotal = logSumExp(most + logSum, logits.subarray(at, first));
    this.logBytes = most + logSum - this.logTotal;
  }
}

/** ln(e^x + the sum of e^y over all y) */
function logSumExp(x: number, ys: Float32Array): number {
  let most = x;
  for (const y of ys) if (y > most) most = y;
  let sum = naturalExp(x - most);
  for (const y of ys) sum += naturalExp(y - most);
  return most + naturalLog(sum);
}
