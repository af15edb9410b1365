/** @file Interval attention on gpu.js has the same bits for blocks of any size. */

import { raggedSize, rowOf, toTensors } from '@blt-ts/autograd/testing';
import { type KernelAttrs, run, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendOf } from '../../../../packages/tensor/src/gpu/backend.ts';
import { createWebasmDriver } from '../../../../packages/tensor/src/gpu/drivers/webasm.ts';
import { asyncProperty } from '../../../support/gpu-run.ts';
import { watched } from '../../../support/watched-driver.ts';

const whole = backendOf(createWebasmDriver());

function sameBits<K extends 'intervalAttention' | 'intervalAttentionBackward'>(kernel: K): void {
  asyncProperty(
    `${kernel}: blocks of any size give the same bits`,
    fc.tuple(rowOf(kernel).cases(raggedSize), fc.integer({ min: 1, max: 60 })),
    12,
    async ([{ ins, attrs }, largest]) => {
      const inBlocks = backendOf(createWebasmDriver({ largest }));
      const on = async (backend: typeof whole) => {
        const outs = run(kernel, toTensors(ins, backend), attrs as KernelAttrs[K]);
        return Promise.all(outs.map((y) => y.read()));
      };
      expect(await on(inBlocks)).toEqual(await on(whole));
    },
  );
}

sameBits('intervalAttention');
sameBits('intervalAttentionBackward');

test('an interval of 700 keys: blocks give the bits of one rectangle', async () => {
  const n = 40;
  const values = (rows: number) =>
    Float32Array.from({ length: rows * 4 }, (_, i) => ((i * 0.618034 + 0.31) % 1) * 2 - 1);
  const hi = Int32Array.from({ length: n }, (_, i) => 661 + i);
  const attrs = { heads: 2, kvHeads: 1, scale: 0.7, pairs: hi.reduce((a, b) => a + b, 0) };
  const on = async (backend: typeof whole) => {
    const [q, k, v] = [
      tensor(values(n), [n, 4], { backend }),
      ...[1, 2].map(() => tensor(values(1400).subarray(0, 1400), [700, 2], { backend })),
    ];
    const [lo, to] = [new Int32Array(n), hi].map((x) => tensor(x, undefined, { backend }));
    const [out, lse] = run('intervalAttention', [q, k, v, lo, to], attrs);
    const back = run('intervalAttentionBackward', [q, k, v, lo, to, out, lse, q], attrs);
    return Promise.all([out, lse, ...back].map((y) => y.read()));
  };
  const watch = watched(createWebasmDriver({ largest: 10_000 }));
  expect(await on(backendOf(watch.driver))).toEqual(await on(whole));
  expect(Math.max(...watch.elements.values())).toBeLessThanOrEqual(10_000);
  expect(watch.elements.get('scores')).toBeGreaterThan(5_000);
});
