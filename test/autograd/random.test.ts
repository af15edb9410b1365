/** @file Random tensors: their ranges, their moments, the same bits on every backend, and the stream that they come from. */
import { randomIntegers, randomNormal, randomPermutation, randomUniform } from '@blt-ts/autograd';
import { Random, type Tensor, type TensorOptions } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';

const draws: Record<string, (random: Random, options?: TensorOptions) => Tensor> = {
  randomUniform: (random, options) => randomUniform(random, [4, 5], -2, 3, options),
  randomNormal: (random, options) => randomNormal(random, [4, 5], 1, 2, options),
  randomIntegers: (random, options) => randomIntegers(random, [4, 5], -3, 4, options),
  randomPermutation: (random, options) => randomPermutation(random, 20, options),
};

describe.each(Object.entries(draws))('%s', (name, draw) => {
  test('gives the same numbers for the same stream on every backend, and goes on with the stream', () => {
    const random = new Random(7);
    const [first, second] = [draw(random), draw(random)].map((x) => [...x.readSync()]);
    expect(second).not.toEqual(first);
    for (const { backend } of backends) {
      const again = new Random(7);
      expect([...draw(again, { backend }).readSync()]).toEqual(first);
      expect([...draw(again, { backend }).readSync()]).toEqual(second);
    }
  });
  test('refuses what is no stream', () => {
    expect(() => draw(7 as never)).toThrow(
      `${name}: the stream of random numbers comes first, such as new Random(1), got 7`,
    );
  });
});

test('uniform numbers lie in [low, high), also where 32 bits would round up to high', () => {
  const bounds = fc.tuple(fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), fc.integer({ min: 0, max: 3 }));
  fc.assert(
    fc.property(fc.nat(), bounds, (seed, [low, width]) => {
      for (const v of randomUniform(new Random(seed), [50], low, low + width).readSync()) {
        expect(v >= low && (v < low + width || width === 0)).toBe(true);
      }
    }),
    { numRuns: 30 },
  );
});

test('moments are those of the distribution, and every whole number comes about as often', () => {
  const n = 20_000;
  const moments = (x: Tensor): [number, number] => {
    const values = [...x.readSync()];
    const mean = values.reduce((a, b) => a + b, 0) / n;
    return [mean, Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / n)];
  };
  // Five standard errors of the mean: 5 std / sqrt(n).
  const [uniform, normal] = [
    moments(randomUniform(new Random(1), [n])),
    moments(randomNormal(new Random(2), [n], 3, 2)),
  ];
  expect(Math.abs(uniform[0] - 0.5)).toBeLessThan(0.0102);
  expect(uniform[1]).toBeCloseTo(1 / Math.sqrt(12), 2);
  expect(Math.abs(normal[0] - 3)).toBeLessThan(0.071);
  expect(Math.abs(normal[1] - 2)).toBeLessThan(0.05);
  const counts = new Map<number, number>();
  for (const v of randomIntegers(new Random(3), [n], -2, 3).readSync()) counts.set(v, (counts.get(v) ?? 0) + 1);
  expect([...counts.keys()].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  for (const count of counts.values()) expect(Math.abs(count - n / 5)).toBeLessThan(5 * Math.sqrt((n / 5) * 0.8));
});

test('a permutation has each number once, and each order comes about as often', () => {
  const orders = new Map<string, number>();
  const random = new Random(4);
  for (let i = 0; i < 3000; i++) {
    const order = randomPermutation(random, 3).readSync().join('');
    expect([...order].sort().join('')).toBe('012');
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  expect(orders.size).toBe(6);
  for (const count of orders.values()) expect(Math.abs(count - 500)).toBeLessThan(5 * Math.sqrt((500 * 5) / 6));
});

test('sizes and bounds that are none are refused', () => {
  const random = new Random(1);
  expect(() => randomUniform(random, [2], 1, 0)).toThrow('randomUniform: high 0 is below low 1');
  expect(() => randomIntegers(random, [2], 0, 0)).toThrow('randomIntegers: low 0 and high 0 must be whole numbers');
  expect(() => randomNormal(random, [-1])).toThrow('randomNormal');
  expect(() => randomPermutation(random, 1.5)).toThrow('randomPermutation');
});
