/** @file Bytes that are more than Node hashes at once are hashed in pieces. No bytes are allocated: a stand-in says which of them are asked for. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { hostArray } from '../../../packages/blt/src/training/loop-state.ts';
import { contentHash, dataHash } from '../../../packages/cli/src/data/split.ts';
import { inPieces, sha256Of } from '../../../packages/cli/src/files/in-pieces.ts';
import { writeSynced } from '../../../packages/cli/src/files/synced-file.ts';

const LENGTH = 2 ** 32 + 5;

/** Stands for so many bytes that are all of them gone: only the ranges that were asked for are kept. */
function standIn(): { bytes: Uint8Array; ranges: [number, number][] } {
  const ranges: [number, number][] = [];
  const subarray = (from: number, to: number) => {
    ranges.push([from, to]);
    return new Uint8Array();
  };
  return { bytes: { length: LENGTH, subarray } as unknown as Uint8Array, ranges };
}

const covers = (ranges: readonly [number, number][]): void => {
  expect(ranges.map(([from]) => from)).toEqual([0, ...ranges.slice(0, -1).map(([, to]) => to)]);
  expect(ranges.at(-1)![1]).toBe(LENGTH);
  for (const [from, to] of ranges) expect(to - from).toBeLessThanOrEqual(2 ** 30);
};

test('pieces of more than 4 GiB are bounded and leave nothing out', () => {
  const { bytes, ranges } = standIn();
  expect([...inPieces(bytes)]).toHaveLength(5);
  covers(ranges);
});

test('documents and files of more than 2 GiB are hashed in pieces', async () => {
  const [inCorpus, alone, written] = [standIn(), standIn(), standIn()];
  dataHash([{ name: 'large', bytes: inCorpus.bytes }]);
  contentHash({ name: 'large', bytes: alone.bytes });
  const handle = { writeFile: async () => {}, sync: async () => {}, close: async () => {} } as unknown as FileHandle;
  await writeSynced({ open: async () => handle } as never, 'large', written.bytes);
  for (const { ranges } of [inCorpus, alone, written]) covers(ranges);
});

test('the hash is that of the bytes end to end', () => {
  const parts = ['a', 'text', ''].map((text) => Buffer.from(text));
  expect(sha256Of(parts)).toBe(createHash('sha256').update('atext').digest('hex'));
});

test('an array of the host is saved in pieces of a megabyte', async () => {
  const values = Float64Array.from({ length: 2 ** 18 + 3 }, (_, i) => i);
  const sizes: number[] = [];
  const all: number[] = [];
  for await (const piece of hostArray(values).pieces()) {
    sizes.push(piece.length);
    for (const value of piece) all.push(value);
  }
  expect(sizes).toEqual([2 ** 18, 3]);
  expect(all).toEqual([...values]);
});
