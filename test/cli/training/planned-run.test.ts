import type { RunOptions } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import type { RunData } from '../../../packages/cli/src/data/run-data.ts';
import { shortStep } from '../../../packages/cli/src/training/pass-threads.ts';
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

test('a rehearsal takes short steps, however many passes those of the plan have', async () => {
  const batch = { batchRows: 8, passRows: 4, accumulation: 2_000_000 };
  expect(shortStep(batch, 1)).toEqual({ step: { batchRows: 8, accumulation: 8 }, times: 250_000 });
  expect(shortStep({ ...batch, accumulation: 3 }, 1)).toEqual({ step: { batchRows: 8, accumulation: 3 }, times: 1 });
  expect(shortStep({ ...batch, batchRows: 400_000, accumulation: 1 }, 2)).toEqual({
    step: { batchRows: 64, accumulation: 1 },
    times: 6250,
  });
  // So many threads have a pass each.
  expect(shortStep({ batchRows: 64, passRows: 1, accumulation: 2 }, 24)).toEqual({
    step: { batchRows: 24, accumulation: 1 },
    times: 6,
  });
  const text = [{ name: 'text', bytes: new TextEncoder().encode('It was a whale. '.repeat(400)) }];
  const data = { trainBytes: 1e9, heldOutBytes: 1e6, bytesInMemory: 0, loaded: null } as unknown as RunData;
  let heard = false;
  setImmediate(() => {
    heard = true;
  });
  const { measured, rates } = await planNewRun({
    options: { ...TOY, steps: 4, accumulation: 2_000_000 },
    data: { ...data, rehearsal: () => ({ train: text, heldOut: text }) },
    ...{ backend, warmStart: () => ({}), minutes: null, memory: false, warn: () => {} },
  });
  expect(measured).toBe(true);
  expect(rates.step).toBeGreaterThan(0);
  // Signals are heard meanwhile.
  expect(heard).toBe(true);
});
