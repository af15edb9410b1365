/** @file examples/microblt.ts is the model of packages/blt: on equal weights both give the same patches, hash rows and logits. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { leaves } from '@blt-ts/autograd';
import {
  type BltConfig,
  bltBatch,
  bltLogits,
  bltPlan,
  byteBatch,
  encode as encodeBytes,
  entropyModelLogits,
  entropyModelPlan,
  entropyOfLogits,
  feedForwardWidth,
  hashNgrams,
  modelPatchLengths,
  transformerConfig,
} from '@blt-ts/blt';
import { Random, scope } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import * as micro from '../../examples/microblt.ts';
import { property } from '../support/property.ts';

const root = join(import.meta.dirname, '../..');
const source = readFileSync(join(root, 'examples/microblt.ts'), 'utf8');

const stack = (hiddenSize: number, numHiddenLayers: number) =>
  transformerConfig({
    hiddenSize,
    numHiddenLayers,
    numAttentionHeads: hiddenSize / 16,
    intermediateSize: feedForwardWidth(hiddenSize, 32),
  });
const local = { ...stack(64, 1), crossAttnAllLayers: true };
const config: BltConfig = {
  vocabSize: 260,
  behaviour: 'facebook',
  window: 128,
  encoder: local,
  global: stack(128, 2),
  decoder: local,
  patcher: { ...stack(64, 1), ropeTheta: 10_000 },
  crossAttnK: 2,
  hash: { groupSizes: [3, 4, 5, 6, 7, 8], functions: 1, vocab: 500 },
  patching: { mode: 'entropy', threshold: 3 },
};

const TEXT = new TextEncoder().encode(
  'Call me Ishmael. Some years ago, never mind how long precisely, I went to sea.\n',
);

/** A text longer than the window, as ids. */
const ids = micro.encode(Uint8Array.from({ length: 180 }, (_, i) => TEXT[i % TEXT.length]));

/** Largest difference, as a share of the largest value. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let [most, size] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    most = Math.max(most, Math.abs(a[i] - b[i]));
    size = Math.max(size, Math.abs(b[i]));
  }
  return most / size;
}

test('it has at most 200 lines, and the places that it names are there', () => {
  expect(source.split('\n').length - 1).toBeLessThanOrEqual(200);
  const places = [...source.matchAll(/packages\/blt\/[\w./-]+/g)].map(([path]) => path);
  expect(places.length).toBeGreaterThanOrEqual(9);
  expect(places.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test('its parameters have the names and shapes of a checkpoint', () => {
  const shapes = (tree: object) => Object.fromEntries(leaves(tree).map(([name, { shape }]) => [name, [...shape]]));
  const planned = (plan: ReturnType<typeof bltPlan>) =>
    Object.fromEntries(plan.map(({ name, shape }) => [name, [...shape]]));
  expect(shapes(micro.newBlt())).toEqual(planned(bltPlan(config)));
  expect(shapes(micro.newPatcher())).toEqual(planned(entropyModelPlan(config.patcher!, 260)));
});

property('bytes become the same ids', fc.uint8Array({ maxLength: 40 }), 50, (bytes) => {
  expect(micro.encode(bytes)).toEqual(encodeBytes(bytes));
});

property('n-grams have the same rows', fc.uint8Array({ maxLength: 40 }), 50, (bytes) => {
  expect(micro.hashRows(micro.encode(bytes))).toEqual(hashNgrams(encodeBytes(bytes), config.hash));
});

const entropies = fc.array(fc.integer({ min: 0, max: 64 }), { minLength: 1, maxLength: 40 });
property('entropies cut the same patches', entropies, 100, (quarters) => {
  const H = Float32Array.from(quarters, (q) => q / 16);
  const lengths = modelPatchLengths(new Int32Array(H.length), H, { mode: 'entropy', threshold: 2 });
  const starts = micro.cut(H, 2);
  expect([...lengths]).toEqual(starts.map((start, j) => (starts[j + 1] ?? H.length + 1) - start));
});

describe('on equal weights', () => {
  // Trained a little, so that norms are not all one and the hash tables are not noise alone.
  const quiet = vi.spyOn(console, 'log').mockImplementation(() => {});
  const random = new Random(5);
  const blt = micro.newBlt();
  const patcher = micro.newPatcher();
  const row = () => ids.slice(0, 24 + random.integer(24));
  const before = scope(() => micro.nats(micro.patcherLogits, patcher, ids).item());
  micro.train('entropy model', patcher, micro.patcherLogits, row, 8);
  const H = micro.entropies(micro.patcherLogits(patcher, ids));
  const threshold = [...H].sort((a, b) => b - a)[Math.floor(H.length / 4)];
  const starts = micro.cut(H, threshold);
  micro.train('BLT', blt, (p, x) => micro.bltLogits(p, x, micro.cut(H.subarray(0, x.length), threshold)), row, 4);
  quiet.mockRestore();

  test('training lowers the loss', () => {
    expect(scope(() => micro.nats(micro.patcherLogits, patcher, ids).item())).toBeLessThan(before - 0.1);
  });

  test('the entropies are equal', () => {
    const batch = byteBatch([ids], config.patcher!, { window: 128, documents: true });
    const theirs = scope(() => entropyOfLogits(entropyModelLogits(patcher, batch, config.patcher!)).readSync());
    expect(distance(H, theirs)).toBeLessThan(1e-5);
  });

  test('the logits of the whole model are equal', () => {
    const patchLengths = modelPatchLengths(ids, H, { mode: 'entropy', threshold });
    expect(patchLengths.length).toBeGreaterThan(20);
    const batch = bltBatch([{ ids, patchLengths }], config);
    const theirs = scope(() => bltLogits(blt, batch, config).readSync());
    const ours = scope(() => micro.bltLogits(blt, ids, starts).readSync());
    expect(distance(ours, theirs)).toBeLessThan(1e-5);
    // The comparison sees a patch that is cut one byte later.
    const moved = starts.map((start, j) => (j === 5 ? start + 1 : start));
    const other = scope(() => micro.bltLogits(blt, ids, moved).readSync());
    expect(distance(other, theirs)).toBeGreaterThan(1e-3);
  });
});
