import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HASH_PRIMES, hashNgrams, rollingHash } from '../../../packages/blt/src/model/hashing.ts';
import { fixture } from '../../support/fixture.ts';
import { runs } from '../../support/runs.ts';

interface Golden {
  sequences: Record<string, number[]>;
  primes: string[];
  cases: { seq: string; func: number; group: number; raw_int64: string[]; buckets: Record<string, number[]> }[];
}
const golden = fixture<Golden>('ngram_hashes.json');

describe('golden', () => {
  test('the primes', () => expect(HASH_PRIMES.map(String)).toEqual(golden.primes));
  test(`raw 64-bit hashes and buckets of ${golden.cases.length} cases`, () => {
    expect(golden.cases.length).toBe(245);
    for (const c of golden.cases) {
      const ids = Int32Array.from(golden.sequences[c.seq]);
      expect([...rollingHash(ids, c.group, HASH_PRIMES[c.func])].map(String)).toEqual(c.raw_int64);
      expect(Object.keys(c.buckets)).toEqual(['61', '30000', '50002', '500002']);
      for (const [vocab, buckets] of Object.entries(c.buckets)) {
        const V = Number(vocab);
        const functions = c.func + 1;
        const all = hashNgrams(ids, { groupSizes: [c.group], functions, vocab: V });
        expect([...ids].map((_, i) => all[i * functions + c.func] - c.func * V)).toEqual(buckets);
      }
    }
  });
});

const ids = fc.array(fc.integer({ min: 0, max: 259 }), { minLength: 1, maxLength: 24 }).map((a) => Int32Array.from(a));
const vocabs = fc.oneof(fc.integer({ min: 1, max: 2 ** 26 }), fc.constantFrom(1, 2, 61, 500002, 2 ** 20, 2 ** 26));
const sizes = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 });

test('every entry is table * vocab + floor modulo of the 64-bit hash, function-major, position-major', () => {
  fc.assert(
    fc.property(ids, sizes, fc.integer({ min: 1, max: 11 }), vocabs, (row, groupSizes, functions, vocab) => {
      fc.pre(groupSizes.length * functions * vocab <= 2 ** 31);
      const entries = hashNgrams(row, { groupSizes, functions, vocab });
      const expected: number[] = [];
      const V = BigInt(vocab);
      const hashes = HASH_PRIMES.slice(0, functions).flatMap((p) => groupSizes.map((g) => rollingHash(row, g, p)));
      row.forEach((_, i) => {
        hashes.forEach((h, m) => {
          expected.push(m * vocab + Number(((h[i] % V) + V) % V));
        });
      });
      expect([...entries]).toEqual(expected);
    }),
    { numRuns: runs(100) },
  );
});

test('a hash reads its window only: bytes outside it do not matter', () => {
  fc.assert(
    fc.property(ids, ids, sizes, (before, row, groupSizes) => {
      const o = { groupSizes, functions: 2, vocab: 30000 };
      const T = 2 * groupSizes.length;
      const alone = hashNgrams(row, o);
      const after = hashNgrams(Int32Array.from([...before, ...row]), o);
      for (let i = Math.max(...groupSizes) - 1; i < row.length; i++) {
        expect(after.slice((before.length + i) * T, (before.length + i + 1) * T)).toEqual(
          alone.slice(i * T, (i + 1) * T),
        );
      }
    }),
    { numRuns: runs(50) },
  );
});

test('from some position on, the rows are those of the whole', () => {
  const row = Int32Array.from({ length: 20 }, (_, i) => 4 + ((i * 97) % 256));
  const options = { groupSizes: [3, 5, 8], functions: 2, vocab: 61 };
  const whole = hashNgrams(row, options);
  for (const first of [0, 1, 7, 19, 20]) expect(hashNgrams(row, options, first)).toEqual(whole.slice(first * 6));
  expect(() => hashNgrams(row, options, 21)).toThrow('first must be a whole number from 0 to the 20 ids, got 21');
});

test('bad sizes, functions, vocabs and ids are refused with both values', () => {
  const row = Int32Array.of(1, 70);
  const o = { groupSizes: [3], functions: 1, vocab: 61 };
  expect(() => hashNgrams(row, { ...o, groupSizes: [0] })).toThrow('an integer 1 .. 1024, got 0');
  expect(() => hashNgrams(row, { ...o, functions: 12 })).toThrow('1 .. 11, got 12');
  expect(() => hashNgrams(row, { ...o, vocab: 2 ** 26 + 1 })).toThrow('got 67108865');
  expect(() => hashNgrams(row, { groupSizes: [3, 4, 5, 6], functions: 11, vocab: 2 ** 26 })).toThrow('32-bit');
  expect(() => hashNgrams(Int32Array.of(1, 260), o)).toThrow('id 260 at position 1');
});
