import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Xxh64 } from '../../../packages/cli/src/data/xxh64.ts';
import { property } from '../../support/property.ts';

/** The bytes 0, 1, 2, ... modulo 251. */
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

const hashed = (...parts: Uint8Array[]): bigint => {
  const hash = new Xxh64();
  for (const part of parts) hash.update(part);
  return hash.digest();
};

test.each([
  ['', 0xef46db3751d8e999n],
  ['a', 0xd24ec4f1a98c6e5bn],
  ['abc', 0x44bc2cf5ad770999n],
])('the hash of %j is that of the specification', (text, hash) => {
  expect(hashed(Buffer.from(text))).toBe(hash);
});

// `zstd` 1.5.4 ends its frames with these.
test.each([
  [1, 0xdb052768],
  [8, 0x14b81b8d],
  [31, 0x9b4d8ee1],
  [32, 0x16ff32b4],
  [39, 0x1679a859],
  [64, 0xdb6713f0],
  [1000, 0xa88b54d3],
  [100_003, 0x50b1eb20],
])('the lower half of the hash of %i bytes is the checksum of zstd', (length, checksum) => {
  expect(hashed(counting(length)) & 0xffffffffn).toBe(BigInt(checksum));
});

const cuts = fc.record({ length: fc.nat(400), at: fc.array(fc.nat(400), { maxLength: 6 }) });

property('the hash does not depend on how the bytes come', cuts, 200, ({ length, at }) => {
  const bytes = counting(length);
  const places = [0, ...at.map((place) => Math.min(place, length)).sort((a, b) => a - b), length];
  const parts = places.slice(1).map((place, i) => bytes.subarray(places[i], place));
  expect(hashed(...parts)).toBe(hashed(bytes));
});
