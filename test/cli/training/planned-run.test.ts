import type { RunOptions } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import type { RunData } from '../../../packages/cli/src/data/run-data.ts';
import { planNewRun } from '../../../packages/cli/src/training/planned-run.ts';

const backend = createWasmBackend({ threads: 1 });
const TOY: RunOptions = {
  ...{ localWidth: 16, localHeads: 2, decoderLayers: 1, globalWidth: 16, globalHeads: 2, globalLayers: 1 },
  ...{ hashVocab: 64, entropyWidth: 16, entropyHeads: 2, entropyLayers: 1, patchingMode: 'space' },
  ...{ rowBytes: 1024, batchRows: 1 },
};

/** Held-out bytes of ten million that a run of so many steps of 1 KiB measures. */
async function measuredBy(steps: number, heldOutBytes = 10e6): Promise<number | null> {
  const text = [{ name: 'text', bytes: new TextEncoder().encode('It was a whale. '.repeat(400)) }];
  const rehearsal = () => ({ train: text, heldOut: text });
  const data = { trainBytes: 1e9, heldOutBytes, bytesInMemory: 0, loaded: null, rehearsal } as unknown as RunData;
  const { sample } = await planNewRun({
    ...{ options: { ...TOY, steps }, data, backend, warmStart: () => ({}) },
    ...{ minutes: null, memory: false, warn: () => {} },
  });
  return sample.heldOutBytes;
}

test('a run measures as many held-out bytes as it trains on, at least 128 KiB and at most 1 MiB, or all there are', async () => {
  expect(await measuredBy(4)).toBe(2 ** 17);
  expect(await measuredBy(200)).toBe(200 * 1024);
  expect(await measuredBy(2000)).toBe(2 ** 20);
  expect(await measuredBy(4, 100_000)).toBe(null);
});
