/** @file The random streams: fixed numbers, distributions, saved states. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { naturalLog } from '../../../packages/tensor/src/numerics/natural-log.ts';
import { Random } from '../../../packages/tensor/src/numerics/random.ts';
import { runs } from '../../support/runs.ts';

type Golden = {
  seed: number;
  state: number[];
  uint32: number[];
  uniform: number[];
  normal: number[];
  fork: Record<string, number[]>;
};
const golden: { seeds: Golden[] } = JSON.parse(
  readFileSync(new URL('../../fixtures/random.json', import.meta.url), 'utf8'),
);
const anySeed = fc.maxSafeNat();
const times = <T>(n: number, draw: () => T): T[] => Array.from({ length: n }, draw);

/** A call of each kind, to be applied in any order. */
const CALLS: readonly ((random: Random) => unknown)[] = [
  (random) => random.uint32(),
  (random) => random.uniform(),
  (random) => random.normal(),
  (random) => random.truncatedNormal(),
  (random) => random.integer(10),
  (random) => random.integer(2 ** 40),
  (random) => random.shuffle([1, 2, 3, 4, 5]),
  (random) => random.fork('child').uint32(),
  (random) => [...random.fillNormal(new Float32Array(3))],
  (random) => [...random.fillTruncatedNormal(new Float32Array(3), { cut: 1 })],
];
const anyCalls = fc.array(fc.constantFrom(...CALLS), { maxLength: 12 });

describe('streams', () => {
  test.each(golden.seeds)('seed $seed gives the numbers of an independent program', (expected) => {
    expect(new Random(expected.seed).state()).toEqual(expected.state);
    const [a, b, c] = times(3, () => new Random(expected.seed));
    expect(times(8, () => a.uint32())).toEqual(expected.uint32);
    expect(times(4, () => b.uniform())).toEqual(expected.uniform);
    expect(times(8, () => c.normal())).toEqual(expected.normal);
    expect(new Random(expected.seed).fork('layers.0').state()).toEqual(expected.fork['layers.0']);
    expect(new Random(expected.seed).fork(7).state()).toEqual(expected.fork['7']);
  });

  test('the bits of a seed never change between versions', () => {
    const random = new Random(42);
    expect({
      normal: times(3, () => random.normal()),
      truncated: times(3, () => random.truncatedNormal(1)),
      integer: times(6, () => random.integer(100)),
      large: random.integer(2 ** 53 - 1),
      shuffle: random.shuffle([0, 1, 2, 3, 4, 5, 6, 7]),
      f32: [...random.fillTruncatedNormal(new Float32Array(2), { mean: 1, std: 0.5 })],
      state: random.state(),
    }).toEqual({
      normal: [-0.8505057339256658, 0.4600266829009099, -0.045088321477633704],
      truncated: [-0.07018551383605405, -0.6805192363713575, 0.3895297719195158],
      integer: [18, 9, 30, 23, 4, 83],
      large: 1529379247971237,
      shuffle: [5, 6, 3, 4, 0, 7, 2, 1],
      f32: [1.0038264989852905, 2.2100625038146973],
      state: [-377783114, 1542829937, 1800715744, 859436144],
    });
  });

  test('a saved state continues exactly, after any calls', () => {
    fc.assert(
      fc.property(anySeed, anyCalls, anyCalls, (seed, before, after) => {
        const random = new Random(seed);
        for (const call of before) call(random);
        const saved = JSON.parse(JSON.stringify(random.state()));
        const again = Random.fromState(saved);
        expect(after.map((call) => call(again))).toEqual(after.map((call) => call(random)));
        expect(again.state()).toEqual(random.state());
      }),
      { numRuns: runs(100) },
    );
  });

  test('different seeds start from different states', () => {
    fc.assert(
      fc.property(anySeed, anySeed, (a, b) => {
        fc.pre(a !== b);
        expect(new Random(a).state()).not.toEqual(new Random(b).state());
      }),
      { numRuns: runs(200) },
    );
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])('seed %d is refused', (seed) => {
    expect(() => new Random(seed)).toThrow(/seed must be a whole number 0 .. 2\^53-1, got/);
  });

  test.each([[[0, 0, 0, 0]], [[1, 2, 3]], [[1, 2, 3, 2 ** 31]], [[1, 2, 3, 0.5]], [null as unknown as number[]]])(
    'state %j is refused',
    (state) => {
      expect(() => Random.fromState(state)).toThrow(/expected four 32-bit integers, not all zero, got/);
    },
  );
});

describe('forks', () => {
  const anyLabel = fc.oneof(fc.string(), fc.maxSafeInteger(), fc.integer({ min: -3, max: 3 }).map(String));

  test('a fork depends on state and label only and does not move its parent', () => {
    fc.assert(
      fc.property(anySeed, anyLabel, anyLabel, (seed, a, b) => {
        const random = new Random(seed);
        const before = random.state();
        const [first, other, again] = [random.fork(a), random.fork(b), random.fork(a)];
        expect(random.state()).toEqual(before);
        expect(again.state()).toEqual(first.state());
        expect(first.state()).not.toEqual(before);
        if (a !== b) expect(other.state()).not.toEqual(first.state());
        random.uint32();
        expect(random.fork(a).state()).not.toEqual(first.state());
      }),
      { numRuns: runs(200) },
    );
  });

  test('parent and children are uncorrelated', () => {
    const parent = new Random(11);
    const children = [parent.fork(0), parent.fork(1), parent.fork('0'), parent.fork('').fork('')];
    const n = 40_000;
    const samples = [parent, ...children].map((random) => random.fillNormal(new Float64Array(n)));
    for (const [i, x] of samples.entries()) {
      for (const y of samples.slice(i + 1)) {
        const correlation = x.reduce((sum, value, k) => sum + value * y[k], 0) / n;
        expect(Math.abs(correlation)).toBeLessThan(4.5 / Math.sqrt(n));
      }
    }
  });

  test('a label that is no safe integer is refused', () => {
    expect(() => new Random(1).fork(0.5)).toThrow(/label must be a text or a safe integer, got 0.5/);
  });
});

/** Chi-square statistic of counts that should be equal. */
function chiSquare(counts: ArrayLike<number>): number {
  const all = Array.from(counts);
  const mean = all.reduce((a, b) => a + b, 0) / all.length;
  return all.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
}

describe('uniform numbers', () => {
  test('lie in [0, 1) on the grid of 2^-53, integers in [0, n)', () => {
    fc.assert(
      fc.property(anySeed, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (seed, n) => {
        const random = new Random(seed);
        const u = random.uniform();
        expect(u >= 0 && u < 1 && Number.isSafeInteger(u * 2 ** 53)).toBe(true);
        for (const limit of [n, 1 + (n % 1000), 1 + (n % 2 ** 32)]) {
          const k = random.integer(limit);
          expect(Number.isSafeInteger(k) && k >= 0 && k < limit).toBe(true);
        }
      }),
      { numRuns: runs(200) },
    );
  });

  test('uniform fills 100 bins evenly', () => {
    const random = new Random(1);
    const bins = new Int32Array(100);
    for (let i = 0; i < 100_000; i++) bins[Math.floor(random.uniform() * 100)]++;
    expect(chiSquare(bins)).toBeLessThan(165); // 99 degrees of freedom, p < 1e-4
  });

  test.each([2, 3, 10, 100])('integer(%i) gives all values evenly', (n) => {
    const random = new Random(n);
    const bins = new Int32Array(n);
    for (let i = 0; i < 20_000 * n ** 0.5; i++) bins[random.integer(n)]++;
    expect(chiSquare(bins)).toBeLessThan(n - 1 + 5 * Math.sqrt(2 * (n - 1)) + 10);
  });

  test.each([3 * 2 ** 30, 3 * 2 ** 51])('integer(%d) has no bias where a remainder would have one', (n) => {
    const random = new Random(5);
    const thirds = new Int32Array(3);
    for (let i = 0; i < 30_000; i++) thirds[Math.floor((random.integer(n) / n) * 3)]++;
    expect(chiSquare(thirds)).toBeLessThan(20); // 2 degrees of freedom, p < 1e-4
  });

  test.each([0, -1, 1.5, 2 ** 53, Number.NaN])('integer(%d) is refused', (n) => {
    expect(() => new Random(1).integer(n)).toThrow(/n must be a whole number 1 .. 2\^53-1, got/);
  });

  test('shuffle keeps the elements and changes the array itself', () => {
    fc.assert(
      fc.property(anySeed, fc.array(fc.integer(), { maxLength: 20 }), (seed, items) => {
        const array = Int32Array.from(items);
        expect(new Random(seed).shuffle(array)).toBe(array);
        expect([...array].sort()).toEqual([...Int32Array.from(items)].sort());
      }),
      { numRuns: runs(50) },
    );
  });

  test('shuffle gives the 24 orders of 4 elements evenly', () => {
    const random = new Random(8);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = random.shuffle(['a', 'b', 'c', 'd']).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquare([...counts.values()])).toBeLessThan(58); // 23 degrees of freedom, p < 1e-4
  });
});

describe('normal numbers', () => {
  const n = 200_000;
  const moment = (x: Float64Array, k: number) => x.reduce((sum, value) => sum + value ** k, 0) / x.length;

  test.each([0, 1, 2])('seed %i: moments and tails are those of the normal distribution', (seed) => {
    const z = new Random(seed).fillNormal(new Float64Array(n));
    // Bounds are 4.5 standard deviations of each estimate.
    const bound = (variance: number) => 4.5 * Math.sqrt(variance / n);
    expect(Math.abs(moment(z, 1))).toBeLessThan(bound(1));
    expect(Math.abs(moment(z, 2) - 1)).toBeLessThan(bound(2));
    expect(Math.abs(moment(z, 3))).toBeLessThan(bound(15));
    expect(Math.abs(moment(z, 4) - 3)).toBeLessThan(bound(96));
    for (const [limit, share] of [
      [0.5, 0.382925],
      [1, 0.682689],
      [2, 0.9545],
      [3, 0.9973],
      [4, 0.99993666],
    ]) {
      const inside = z.reduce((count, value) => count + (Math.abs(value) < limit ? 1 : 0), 0) / n;
      expect(Math.abs(inside - share)).toBeLessThan(bound(share * (1 - share)));
    }
    const neighbours = z.subarray(1).reduce((sum, value, i) => sum + value * z[i], 0) / n;
    expect(Math.abs(neighbours)).toBeLessThan(bound(1));
  });

  test.each([1, 2, 3])('cut at %d they stay inside and have the known variance', (cut) => {
    const z = new Random(3).fillTruncatedNormal(new Float64Array(n), { cut });
    expect(z.every((value) => Math.abs(value) <= cut)).toBe(true);
    // 1 - 2 c phi(c) / (2 Phi(c) - 1)
    const inside = { 1: 0.6826894921, 2: 0.9544997361, 3: 0.9973002039 }[cut]!;
    const variance = 1 - (2 * cut * Math.exp((-cut * cut) / 2)) / (Math.sqrt(2 * Math.PI) * inside);
    expect(Math.abs(moment(z, 1))).toBeLessThan(4.5 / Math.sqrt(n));
    expect(Math.abs(moment(z, 2) - variance)).toBeLessThan(4.5 * Math.sqrt(2 / n));
  });

  test('filling is the same as drawing one by one', () => {
    fc.assert(
      fc.property(anySeed, fc.nat({ max: 20 }), (seed, length) => {
        const [a, b] = [new Random(seed), new Random(seed)];
        const drawn = Float32Array.from(times(length, () => 0.25 + 0.02 * a.normal()));
        expect(b.fillNormal(new Float32Array(length), { mean: 0.25, std: 0.02 })).toEqual(drawn);
        const cut = times(length, () => -1 + 2 * a.truncatedNormal(0.75));
        expect([...b.fillTruncatedNormal(new Float64Array(length), { mean: -1, std: 2, cut: 0.75 })]).toEqual(cut);
        expect(b.state()).toEqual(a.state());
      }),
      { numRuns: runs(50) },
    );
  });

  test.each([0, 0.49, -3, Number.NaN])('cut %d is refused', (cut) => {
    expect(() => new Random(1).truncatedNormal(cut)).toThrow(/cut must be >= 0.5 standard deviations, got/);
    expect(() => new Random(1).fillTruncatedNormal(new Float32Array(1), { cut })).toThrow(RangeError);
  });
});

test('the logarithm agrees with Math.log to 4.5e-16, relative where |ln x| > 1', () => {
  const check = (x: number) => {
    const expected = Math.log(x);
    expect(Math.abs(naturalLog(x) - expected)).toBeLessThanOrEqual(2 ** -51 * Math.max(1, Math.abs(expected)));
  };
  for (let e = -1022; e < 1024; e++) check(2 ** e);
  for (let i = 1; i < 5000; i++) check(i / 1024);
  const random = new Random(4);
  for (let i = 0; i < 20_000; i++) check(Math.max(2 ** -63, random.uniform()));
  expect(naturalLog(1)).toBe(0);
});
