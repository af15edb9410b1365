/** @file hash32 is the published function, and its streams look random. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { counterUniform, hash32 } from '../../../packages/tensor/src/numerics/hash32.ts';
import { runs } from '../../support/runs.ts';

const golden: { hash32: [number, number, number][] } = JSON.parse(
  readFileSync(new URL('../../fixtures/random.json', import.meta.url), 'utf8'),
);
const uint32 = fc.integer({ min: 0, max: 0xffffffff });

test('the formula of the docstring, computed elsewhere with unbounded integers', () => {
  for (const [seed, i, hash] of golden.hash32) expect(hash32(seed, i)).toBe(hash);
});

test('the result is an unsigned 32-bit integer, and arguments are taken modulo 2^32', () => {
  fc.assert(
    fc.property(uint32, uint32, (seed, i) => {
      const hash = hash32(seed, i);
      expect(hash).toBe(hash >>> 0);
      expect(hash32(seed | 0, i | 0)).toBe(hash);
      expect(hash32(seed + 2 ** 32, i + 2 ** 32)).toBe(hash);
      expect(counterUniform(seed, i)).toBe(hash / 2 ** 32);
    }),
    { numRuns: runs(200) },
  );
});

test('for one seed no two indices share a hash, for one index no two seeds do', () => {
  expect(new Set(Array.from({ length: 200_000 }, (_, i) => hash32(7, i))).size).toBe(200_000);
  expect(new Set(Array.from({ length: 200_000 }, (_, seed) => hash32(seed, 7))).size).toBe(200_000);
});

describe('quality, for fixed seeds', () => {
  test.each([
    ['index', (a: number, b: number) => hash32(b, a)],
    ['seed', (a: number, b: number) => hash32(a, b)],
  ])('flipping any bit of the %s flips each bit of the hash half of the time', (_, hash) => {
    const samples = 4096;
    for (let bit = 0; bit < 32; bit++) {
      const flips = new Int32Array(32);
      for (let i = 0; i < samples; i++) {
        const x = Math.imul(i, 0x9e3779b1); // spread out, or i and i ^ bit would both be samples
        const changed = hash(x, 99) ^ hash(x ^ (1 << bit), 99);
        for (let out = 0; out < 32; out++) flips[out] += (changed >>> out) & 1;
      }
      // Standard deviation 0.0078; 1024 numbers stay within 5 of them.
      for (const count of flips) expect(Math.abs(count / samples - 0.5)).toBeLessThan(0.04);
    }
  });

  test.each([0, 1, 2, 12345, 0xffffffff])(
    'counterUniform of seed %i is uniform and its neighbours are unrelated',
    (seed) => {
      const n = 100_000;
      const bins = new Int32Array(100);
      let lag = 0;
      let streams = 0;
      for (let i = 0; i < n; i++) {
        const u = counterUniform(seed, i);
        bins[Math.floor(u * 100)]++;
        lag += (u - 0.5) * (counterUniform(seed, i + 1) - 0.5);
        streams += (u - 0.5) * (counterUniform(seed + 1, i) - 0.5);
      }
      const chiSquare = bins.reduce((sum, count) => sum + (count - n / 100) ** 2 / (n / 100), 0);
      // 99 degrees of freedom: 50 .. 165 holds but for one seed in 50,000.
      expect(chiSquare).toBeGreaterThan(50);
      expect(chiSquare).toBeLessThan(165);
      // Correlations have standard deviation 1 / sqrt(n) = 0.0032.
      expect(Math.abs((12 * lag) / n)).toBeLessThan(0.014);
      expect(Math.abs((12 * streams) / n)).toBeLessThan(0.014);
    },
  );

  test('a mask of probability p keeps a share 1 - p', () => {
    for (const p of [0.05, 0.1, 0.5, 0.9]) {
      const threshold = Math.floor(p * 2 ** 32);
      let kept = 0;
      for (let i = 0; i < 100_000; i++) if (hash32(3, i) >= threshold) kept++;
      expect(Math.abs(kept / 100_000 - (1 - p))).toBeLessThan(0.006);
    }
  });
});
