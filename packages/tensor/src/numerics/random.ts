/**
 * @file Seeded random numbers whose whole state is four integers. Same seed, same bits on every JavaScript engine: only
 * integer operations, + - * / and Math.sqrt are used. ECMAScript leaves Math.log, sin and cos to the engine, so the
 * normal distribution brings its own logarithm. (It leaves Math.sqrt to the engine too, but all engines compile it to
 * the processor's IEEE 754 square root, which is correctly rounded.)
 */

import { type xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import { hash32 } from './hash32.ts';
import { naturalLog } from './natural-log.ts';

export { counterUniform, hash32 } from './hash32.ts';

/**
 * A stream of random numbers (xoroshiro128+, period 2^128 - 1).
 *
 * Nothing is kept beside the state: `Random.fromState(r.state())` continues exactly as `r` does, after any call.
 * ```ts
 * const random = new Random(42);
 * const weights = random.fork('weights').fillTruncatedNormal(new Float32Array(1024), { std: 0.02 });
 * ```
 * @see Blackman & Vigna 2018, Scrambled linear pseudorandom number generators (constants 24, 16, 37)
 */
export class Random {
  private generator: ReturnType<typeof xoroshiro128plus>;

  /**
   * @param seed a whole number 0 .. 2^53-1; neighbouring seeds give unrelated streams
   * @throws RangeError for another seed
   */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new RangeError(`Random: seed must be a whole number 0 .. 2^53-1, got ${seed}`);
    }
    this.generator = xoroshiro128plusFromState(stateFromWords([SEED_TAG, ...wordsOf(seed)]));
  }

  /** 32 random bits as a whole number 0 .. 2^32-1. */
  uint32(): number {
    return this.generator.next() >>> 0;
  }

  /** Uniform in [0, 1) with 53 random bits: a multiple of 2^-53. Two steps of the generator. */
  uniform(): number {
    const high = this.generator.next() >>> 5;
    const low = this.generator.next() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /**
   * Uniform whole number in [0, n), without bias: the bits that n - 1 needs, drawn again until they are below n.
   * @param n 1 .. 2^53-1
   * @throws RangeError for another n
   */
  integer(n: number): number {
    if (!Number.isSafeInteger(n) || n < 1) {
      throw new RangeError(`Random.integer: n must be a whole number 1 .. 2^53-1, got ${n}`);
    }
    const high = Math.floor((n - 1) / 2 ** 32);
    for (;;) {
      const value = high === 0 ? this.bitsFor(n - 1) : this.bitsFor(high) * 2 ** 32 + this.uint32();
      if (value < n) return value;
    }
  }

  /** As many random bits as `max` (0 .. 2^32-1) has; the upper ones of the generator's, which are its best. */
  private bitsFor(max: number): number {
    return max === 0 ? 0 : (this.generator.next() >>> Math.clz32(max)) >>> 0;
  }

  /**
   * Standard normal: mean 0, variance 1, |z| < 9.4, by the polar method. A point (u, v) is drawn uniformly until it lies
   * in the unit circle, s = u^2 + v^2; then z = u sqrt(-2 ln(s) / s). The second number of the pair, v sqrt(...), is not
   * used: keeping it would be state outside the state.
   * @see Marsaglia & Bray 1964
   */
  normal(): number {
    for (;;) {
      // Half a step off the grid: the point is never (0, 0) and the grid is symmetric.
      const u = (this.generator.next() + 0.5) * 2 ** -31;
      const v = (this.generator.next() + 0.5) * 2 ** -31;
      const s = u * u + v * v;
      if (s < 1) return u * Math.sqrt((-2 * naturalLog(s)) / s);
    }
  }

  /**
   * Standard normal conditioned on |z| <= cut: drawn again until it is. For cut = 3 one draw in 370 is repeated and the
   * standard deviation is 0.9866.
   * @param cut in standard deviations, at least 0.5 (below, nearly all draws would be repeated)
   * @throws RangeError for another cut
   */
  truncatedNormal(cut = 3): number {
    checkCut(cut);
    for (;;) {
      const z = this.normal();
      if (z >= -cut && z <= cut) return z;
    }
  }

  /** Fills `out` with mean + std * normal(), the very numbers that as many calls of normal() give. Returns `out`. */
  fillNormal<T extends Float32Array | Float64Array>(out: T, { mean = 0, std = 1 } = {}): T {
    for (let i = 0; i < out.length; i++) out[i] = mean + std * this.normal();
    return out;
  }

  /**
   * Fills `out` with mean + std * truncatedNormal(cut), the very numbers that as many calls give. Returns `out`.
   * `std` is that of the distribution before it is cut, as in the usual initialisers.
   * @throws RangeError if cut is below 0.5
   */
  fillTruncatedNormal<T extends Float32Array | Float64Array>(out: T, { mean = 0, std = 1, cut = 3 } = {}): T {
    checkCut(cut);
    for (let i = 0; i < out.length; i++) {
      let z = this.normal();
      while (z < -cut || z > cut) z = this.normal();
      out[i] = mean + std * z;
    }
    return out;
  }

  /** Puts the elements in a uniformly random order, in place (Fisher-Yates). Returns the same array. */
  shuffle<T extends { length: number; [index: number]: unknown }>(array: T): T {
    for (let i = array.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = array[i];
      array[i] = array[j];
      array[j] = kept;
    }
    return array;
  }

  /**
   * An independent child stream, computed from the present state and the label; this stream does not move. Different
   * labels give unrelated children, the same label at the same state gives the same child; 1 and '1' are different.
   * @param label a text or a safe integer, e.g. a parameter's name or a step number
   * @throws RangeError for a number that is not a safe integer
   */
  fork(label: string | number): Random {
    if (typeof label === 'number' && !Number.isSafeInteger(label)) {
      throw new RangeError(`Random.fork: label must be a text or a safe integer, got ${label}`);
    }
    const words = typeof label === 'number' ? [NUMBER_TAG, ...wordsOf(label)] : [TEXT_TAG, ...textWords(label)];
    return Random.fromState(stateFromWords([...this.generator.getState(), ...words]));
  }

  /** The whole state: four 32-bit signed integers, to be saved as JSON and given to `Random.fromState`. */
  state(): number[] {
    return [...this.generator.getState()];
  }

  /**
   * The stream that continues where `state()` was taken.
   * @throws RangeError unless `state` is four 32-bit signed integers, not all zero (zeros would stay zeros for ever)
   */
  static fromState(state: readonly number[]): Random {
    if (
      !Array.isArray(state) ||
      state.length !== 4 ||
      state.some((s) => s !== (s | 0)) ||
      state.every((s) => s === 0)
    ) {
      throw new RangeError(
        `Random.fromState: expected four 32-bit integers, not all zero, got ${JSON.stringify(state)?.slice(0, 80)}`,
      );
    }
    const random = new Random(0);
    random.generator = xoroshiro128plusFromState(state);
    return random;
  }

  /** Puts this stream where another one stands. */
  seek(state: readonly number[]): void {
    this.generator = Random.fromState(state).generator;
  }
}

// Tags keep the inputs of stateFromWords apart: a seed, a text and a number never hash the same words.
const SEED_TAG = 0x5eed;
const NUMBER_TAG = 1;
const TEXT_TAG = 2;

/** A safe integer as two 32-bit words (low, high); different integers give different words. */
const wordsOf = (n: number): number[] => [n | 0, Math.floor(n / 2 ** 32) | 0];

const textWords = (text: string): number[] => [
  text.length,
  ...Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)),
];

/** Four hash chains over the words, one per word of state: h = hash32(h, word). Inputs that differ in one word never collide. */
function stateFromWords(words: readonly number[]): number[] {
  const state = [0, 1, 2, 3].map((chain) => words.reduce((h, word) => hash32(h, word), chain) | 0);
  return state.some((s) => s !== 0) ? state : [1, 0, 0, 0];
}

function checkCut(cut: number): void {
  if (!(cut >= 0.5)) throw new RangeError(`truncated normal: cut must be >= 0.5 standard deviations, got ${cut}`);
}
