/** @file Rows of several sources: their shares, exact continuation, and the size that stands for a mixture. */
import { bytesOfMixture, type DataCursor, EpochLoader, MixtureLoader } from '@blt-ts/blt';
import { Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitsByShares } from '../../../packages/blt/src/training/evaluation.ts';

const weights = fc.array(
  fc.integer({ min: 1, max: 40 }).map((i) => i / 4),
  { minLength: 1, maxLength: 5 },
);

/** A mixture of sources of 3, 5, 7, ... rows, which are named `source:epoch:row`. */
const mixture = (w: readonly number[]) =>
  new MixtureLoader(
    w.map(
      (_, s) =>
        new EpochLoader(new Random(9).fork(`source ${s}`), (__, epoch) =>
          Array.from({ length: 3 + 2 * s }, (___, i) => `${s}:${epoch}:${i}`),
        ),
    ),
    w,
  );

test('of the first n rows no source has given a whole row more than its share w n / sum(w)', () => {
  fc.assert(
    fc.property(weights, (w) => {
      const total = w.reduce((sum, one) => sum + one, 0);
      const drawn = w.map(() => 0);
      mixture(w)
        .next(200)
        .forEach((row, i) => {
          drawn[Number(row[0])]++;
          for (const [s, count] of drawn.entries()) expect(count).toBeLessThan((w[s] * (i + 1)) / total + 1);
        });
    }),
    { numRuns: 50 },
  );
  expect(mixture([3, 1]).next(8).map((row) => row[0]).join('')).toBe('00100010'); // biome-ignore format: one sentence
});

test('each source is passed over in epochs of its own, and a saved place goes on exactly', () => {
  fc.assert(
    fc.property(weights, fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 7 }), (w, at, step) => {
      const whole = mixture(w);
      const before = whole.next(at);
      const place = JSON.parse(JSON.stringify(whole.cursor)) as DataCursor;
      const other = mixture(w);
      other.seek(place);
      const rest = Array.from({ length: 10 }, () => other.next(step)).flat();
      expect(rest).toEqual(whole.next(10 * step));
      const own = [...before, ...rest].filter((row) => row.startsWith('0:0:'));
      expect(new Set(own).size).toBe(own.length);
    }),
    { numRuns: 50 },
  );
});

test('a mixture in proportion to the bytes is as large as all of them, any other is smaller', () => {
  expect(bytesOfMixture([3, 1], [3000, 1000])).toBeCloseTo(4000, 6);
  // Half of the rows from 1000 bytes, half from 3000: a byte is drawn from a source that is passed over 2/3 as often on average as 1500.
  expect(bytesOfMixture([1, 1], [1000, 3000])).toBeCloseTo(3000, 6);
  expect(bytesOfMixture([1], [77])).toBeCloseTo(77, 9);
});

test('weights must be above 0, one for each source', () => {
  expect(() => new MixtureLoader([], [1])).toThrow('a mixture of 0 sources needs a weight above 0 for each, got [1]');
  expect(() => mixture([1, 0])).toThrow('needs a weight above 0');
  expect(() => mixture([1, 1]).seek({ epoch: 0, row: 3 })).toThrow('the place is one in 1 sources, the mixture has 2');
});

test('of a mixture the figure that decides is the mean of its sources by their shares; a source without held-out text counts nothing', () => {
  const of = (bitsPerByte: number) => ({ nats: 1, bytes: 1, bitsPerByte, standardError: null });
  // Of all bytes the first source has most.
  const pooled = { ...of(2.9), sources: [of(3), of(2), null] };
  expect(bitsByShares(pooled, [1, 3, 4])).toBe((3 + 3 * 2) / 4);
  expect(bitsByShares(pooled, null)).toBe(2.9);
  expect(bitsByShares(of(2.5), [1, 1])).toBe(2.5);
});
