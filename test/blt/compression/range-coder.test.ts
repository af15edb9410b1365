/** @file Range coding: what is written is read, in as few bytes as the probabilities say. */
import { ArchiveError } from '@blt-ts/blt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RangeDecoder, RangeEncoder } from '../../../packages/blt/src/compression/range-coder.ts';
import { property } from '../../support/property.ts';

interface Coded {
  readonly start: number;
  readonly size: number;
  readonly total: number;
}

/** A symbol of any probability that 28 bits give; the surest and the rarest among them. */
const symbol: fc.Arbitrary<Coded> = fc
  .tuple(fc.oneof(fc.integer({ min: 1, max: 2 ** 28 }), fc.constantFrom(1, 2, 2 ** 28)), fc.nat(), fc.nat())
  .map(([total, a, b]) => {
    const start = a % total;
    return { total, start, size: 1 + (b % (total - start)) };
  });

function write(symbols: readonly Coded[]): Uint8Array {
  const encoder = new RangeEncoder();
  for (const { start, size, total } of symbols) encoder.encode(start, size, total);
  return encoder.finish();
}

function read(bytes: Uint8Array, symbols: readonly Coded[]): void {
  const decoder = new RangeDecoder(bytes);
  for (const { start, size, total } of symbols) {
    const share = decoder.share(total);
    expect(share).toBeGreaterThanOrEqual(start);
    expect(share).toBeLessThan(start + size);
    decoder.consume(start, size, total);
  }
}

describe('symbols', () => {
  property('are read as they were written', fc.array(symbol, { maxLength: 300, size: 'max' }), 100, (symbols) => {
    read(write(symbols), symbols);
  });

  property(
    'cost their information, and at most one byte',
    fc.array(symbol, { maxLength: 300, size: 'max' }),
    100,
    (all) => {
      const bits = all.reduce((sum, { size, total }) => sum + Math.log2(total / size), 0);
      expect(8 * write(all).length).toBeLessThanOrEqual(bits + 0.0004 * all.length + 8);
    },
  );

  property(
    'of bytes that nobody wrote are shares of the total, or the reader says that they are damaged',
    fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.array(symbol, { maxLength: 60, size: 'max' })),
    100,
    ([bytes, symbols]) => {
      const decoder = new RangeDecoder(bytes);
      try {
        for (const { total } of symbols) {
          const share = decoder.share(total);
          expect(Number.isInteger(share) && share >= 0 && share < total).toBe(true);
          decoder.consume(share, 1, total);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ArchiveError);
      }
    },
  );
});

test('a carry goes through all bytes that are 255', () => {
  // 255 255 255 ... and then a symbol that lifts the number over them.
  const top: Coded = { start: 255, size: 1, total: 256 };
  const lifted: Coded = { start: 2 ** 20 - 1, size: 1, total: 2 ** 20 };
  for (let n = 0; n < 20; n++) {
    const symbols = [{ start: 1, size: 2, total: 4 }, ...Array(n).fill(top), lifted, lifted, top];
    read(write(symbols), symbols);
  }
});

test('nothing is no bytes', () => {
  expect(write([])).toEqual(new Uint8Array(0));
  expect(write([{ start: 0, size: 7, total: 7 }])).toEqual(new Uint8Array(0));
});
