/**
 * @file Stateless random numbers: a 32-bit hash of (seed, index). Where element i of a tensor needs its own random bits
 * (a dropout mask), every backend and every thread computes them from i alone, in any order, and gets the same ones.
 */

/**
 * 32 random-looking bits for element `i` of the stream `seed`, as an unsigned integer. All arithmetic is on 32-bit
 * integers modulo 2^32 (shifts are logical), so that WASM and shaders can repeat it exactly:
 *
 * ```
 * mix(x):  x ^= x >> 16;  x *= 0x21f0aaad;  x ^= x >> 15;  x *= 0xd35a2d97;  x ^= x >> 15
 * hash32(seed, i) = mix(mix(i + 0x9e3779b9) ^ seed)
 * ```
 *
 * `mix` is a bijection (each step is), so for one seed no two indices share a value, and for one index no two seeds do.
 * Not cryptographic.
 * @param seed an integer, taken modulo 2^32   @param i the same
 * @see Wellons, hash-prospector 2018: the two multipliers with the lowest known avalanche bias (0.107) for shifts 16, 15, 15
 */
export function hash32(seed: number, i: number): number {
  return mix(mix((i + 0x9e3779b9) | 0) ^ seed) >>> 0;
}

function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0xd35a2d97);
  return x ^ (x >>> 15);
}

/**
 * The hash as a uniform number in [0, 1): hash32(seed, i) / 2^32. To keep an element with probability 1 - p, compare
 * integers instead: keep where hash32(seed, i) >= floor(p * 2^32).
 */
export const counterUniform = (seed: number, i: number): number => hash32(seed, i) / 2 ** 32;
