/** @file Hashes of byte n-grams: the rows of the hash table that a byte adds to its embedding. */
import { VOCAB_SIZE } from '../patching/vocabulary.ts';

/** One prime per hash function, in the order of the released model (function f uses HASH_PRIMES[f]). */
export const HASH_PRIMES: readonly bigint[] = [
  1000000007n,
  5915587277n,
  1500450271n,
  3267000013n,
  5754853343n,
  4093082899n,
  9576890767n,
  3628273133n,
  2860486313n,
  5463458053n,
  3367900313n,
];

const TWO_32 = 2 ** 32;
/** Up to here (vocab - 1)^2 + 2^32 < 2^53, so every step of the reduction is exact in a double. */
export const MAX_VOCAB = 2 ** 26;
/** Largest n-gram. */
export const MAX_NGRAM = 1024;
/** Most rows of all tables together. */
export const MAX_ROWS = 2 ** 31;

/**
 * The raw rolling hash, straight from its definition (slow; hashNgrams is the fast form).
 *
 * h(i) = sum over t = 0 .. groupSize-1 of ids[i - groupSize + 1 + t] * prime^t, in wrapping signed 64-bit arithmetic.
 * The OLDEST byte of the window has power 0 (the paper's appendix writes the reverse; the released weights need this
 * order). Positions before the row count as id 0.
 * @param ids [n]   @returns [n] signed 64-bit hashes
 */
export function rollingHash(ids: Int32Array, groupSize: number, prime: bigint): BigInt64Array {
  requireGroupSize('rollingHash', groupSize);
  const out = new BigInt64Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    let h = 0n;
    // Horner's rule from the newest byte (highest power) down to the oldest.
    for (let j = i; j > i - groupSize; j--) h = h * prime + BigInt(j >= 0 ? ids[j] : 0);
    out[i] = BigInt.asIntN(64, h);
  }
  return out;
}

/** The tables that n-grams are hashed into. */
export interface HashOptions {
  /** n-gram sizes in bytes, e.g. [3, 4, 5, 6, 7, 8]. */
  readonly groupSizes: readonly number[];
  /** Number of hash functions, 1 .. 11. */
  readonly functions: number;
  /** Rows per table (500002 in the released model), 1 .. 2^26. */
  readonly vocab: number;
}

/**
 * Row numbers into the fused n-gram table for every position of ONE row of ids (windows never reach into another row).
 *
 * Tables are ordered function-major, then size; table m owns the rows m*vocab .. (m+1)*vocab - 1:
 * out[i*T + m] = m*vocab + (h_m(i) mod vocab), T = functions * groupSizes.length, floor modulo (never negative).
 *
 * @param ids [n], each -1 .. 259   @param first the positions before it are only read, and have no rows
 * @returns [(n - first)*T], position-major
 * @throws RangeError if a size, the number of functions, the vocab or an id is out of range
 * @see Pagnoni et al. 2024, section 3.2.1 and appendix C (both differ from the released code, which this follows)
 */
export function hashNgrams(ids: Int32Array, options: HashOptions, first = 0): Int32Array {
  const { groupSizes, functions, vocab } = options;
  const T = functions * groupSizes.length;
  validate(ids, options);
  const n = ids.length;
  if (!Number.isInteger(first) || first < 0 || first > n) {
    throw new RangeError(`hashNgrams: first must be a whole number from 0 to the ${n} ids, got ${first}`);
  }
  const out = new Int32Array((n - first) * T);
  const twoTo32Mod = TWO_32 % vocab;
  const twoTo64Mod = (twoTo32Mod * twoTo32Mod) % vocab;
  for (let f = 0; f < functions; f++) {
    for (let s = 0; s < groupSizes.length; s++) {
      const m = f * groupSizes.length + s;
      const g = groupSizes[s];
      const { high, low } = primePowers(HASH_PRIMES[f], g);
      for (let i = first; i < n; i++) {
        // id * word < 2^9 * 2^32, so both sums are exact integers in a double.
        let lo = 0;
        let hi = 0;
        for (let t = i < g - 1 ? g - 1 - i : 0; t < g; t++) {
          const id = ids[i - g + 1 + t];
          lo += id * low[t];
          hi += id * high[t];
        }
        hi = (hi + Math.floor(lo / TWO_32)) >>> 0;
        lo = lo >>> 0;
        // hash = hi * 2^32 + lo, minus 2^64 if the sign bit is set; reduced one factor at a time.
        let bucket = modulo(modulo(hi, vocab) * twoTo32Mod + lo, vocab);
        if (hi >= 2 ** 31) {
          bucket -= twoTo64Mod;
          if (bucket < 0) bucket += vocab;
        }
        out[(i - first) * T + m] = m * vocab + bucket;
      }
    }
  }
  return out;
}

/**
 * x mod v for integers x >= 0, v >= 1 with x + v <= 2^53; several times faster than % on doubles. It is exact: x / v could
 * only round up to the next integer n if n*v - x, which is at least 1, were below n*v * 2^-53.
 */
function modulo(x: number, v: number): number {
  return x - Math.floor(x / v) * v;
}

/** Powers of a prime mod 2^64, as two unsigned 32-bit words each. */
interface PrimePowers {
  readonly high: Float64Array;
  readonly low: Float64Array;
}

/** Of each prime as many powers as were wanted so far: a step of decoding hashes few n-grams, and asks for the same each time. */
const knownPowers = new Map<bigint, PrimePowers>();

/** prime^t mod 2^64 for t = 0 .. count-1, and perhaps more. */
function primePowers(prime: bigint, count: number): PrimePowers {
  const known = knownPowers.get(prime);
  if (known && known.low.length >= count) return known;
  const high = new Float64Array(count);
  const low = new Float64Array(count);
  let power = 1n;
  for (let t = 0; t < count; t++) {
    high[t] = Number(power >> 32n);
    low[t] = Number(power & 0xffffffffn);
    power = BigInt.asUintN(64, power * prime);
  }
  knownPowers.set(prime, { high, low });
  return { high, low };
}

function requireGroupSize(where: string, g: number): void {
  if (!Number.isInteger(g) || g < 1 || g > MAX_NGRAM) {
    throw new RangeError(`${where}: an n-gram size must be an integer 1 .. ${MAX_NGRAM}, got ${g}`);
  }
}

function validate(ids: Int32Array, { groupSizes, functions, vocab }: HashOptions): void {
  for (const g of groupSizes) requireGroupSize('hashNgrams', g);
  if (!Number.isInteger(functions) || functions < 1 || functions > HASH_PRIMES.length) {
    throw new RangeError(`hashNgrams: functions must be an integer 1 .. ${HASH_PRIMES.length}, got ${functions}`);
  }
  if (!Number.isInteger(vocab) || vocab < 1 || vocab > MAX_VOCAB) {
    throw new RangeError(`hashNgrams: vocab must be an integer 1 .. ${MAX_VOCAB}, got ${vocab}`);
  }
  const rows = functions * groupSizes.length * vocab;
  if (rows > MAX_ROWS) {
    throw new RangeError(`hashNgrams: ${rows} table rows do not fit 32-bit row numbers; use a vocab below ${vocab}`);
  }
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] < -1 || ids[i] >= VOCAB_SIZE) {
      throw new RangeError(
        `hashNgrams: id ${ids[i]} at position ${i} is outside the vocabulary 0 .. ${VOCAB_SIZE - 1}`,
      );
    }
  }
}
