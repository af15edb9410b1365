import { Session } from '@blt-ts/blt';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { largestDifference, lossAndGradients, smallPlan, trainingLosses } from '../support/gpu-training.ts';
import { configs, cut, row, smallModel } from '../support/small-model.ts';
import { advance, corpus, remains, tinyPlan } from '../support/tiny-run.ts';

const backend = await createGpuBackend({ mode: 'webasm' });
const reference = createReferenceBackend();

test('loss and every gradient of small models of many forms are those of the definition', async () => {
  const samples = fc.sample(
    fc.record({ config: configs, rows: fc.array(row(2, 14), { minLength: 1, maxLength: 2 }) }),
    {
      numRuns: 4,
      seed: 8,
    },
  );
  for (const { config, rows } of samples) {
    const patched = cut(smallModel(config, 1, reference), rows);
    const got = await lossAndGradients(config, patched, backend);
    const want = await lossAndGradients(config, patched, reference);
    expect(got.gradients.size).toBeGreaterThan(20);
    expect(largestDifference(got, want), JSON.stringify(config)).toBeLessThan(2e-5);
  }
});

test('training follows the CPU step by step; the same batches compile nothing new', async () => {
  const plan = smallPlan(6);
  const want = await trainingLosses(createWasmBackend(), plan);
  const got = await trainingLosses(backend, plan);
  got.forEach((loss, i) => {
    expect(Math.abs(loss - want[i]), `step ${i + 1}`).toBeLessThan(1e-4);
  });
  const before = backend.compiles;
  await trainingLosses(backend, plan);
  expect(backend.compiles).toBe(before);
});

test.each(['space', 'static', 'byte', 'entropy'] as const)(
  '%s patches: a run follows the CPU',
  async (patchingMode) => {
    const options = {
      localWidth: 8,
      globalWidth: 16,
      rowBytes: 32,
      hashVocab: 16,
      entropySteps: 2,
      steps: 2,
      evalEvery: 2,
    };
    const plan = tinyPlan({ ...options, patchingMode });
    const run = async (on: typeof backend | typeof reference) => {
      const session = new Session(plan, corpus, on);
      const events = (await advance(session, Number.POSITIVE_INFINITY)).map((e) => JSON.parse(e));
      return events.map((e) => e.report?.lossNats ?? e.evaluation?.bitsPerByte ?? e.patches ?? 0) as number[];
    };
    const [got, want] = [await run(backend), await run(reference)];
    expect(got.length).toBe(want.length);
    want.forEach((value, i) => {
      expect(Math.abs(got[i] - value), `event ${i}`).toBeLessThan(1e-4);
    });
  },
);

test('a whole run, entropy model, patching, evaluation and saved state included, reads nothing at once', async () => {
  const plan = tinyPlan({
    steps: 3,
    entropySteps: 2,
    evalEvery: 2,
    localWidth: 8,
    globalWidth: 16,
    rowBytes: 32,
    hashVocab: 16,
    ema: 0.5,
  });
  const events = async (on: typeof backend | typeof reference) => {
    const session = new Session(plan, corpus, on);
    const told = await advance(session, Number.POSITIVE_INFINITY);
    return { told, left: await remains(session) };
  };
  const got = await events(backend);
  const want = await events(reference);
  expect(got.told.length).toBe(want.told.length);
  expect(got.left.arrays.length).toBe(want.left.arrays.length);
  const numbers = (told: string[]) => told.flatMap((t) => (t.match(/-?\d+\.\d+/g) ?? []).map(Number));
  numbers(want.told).forEach((value, i) => {
    expect(Math.abs(numbers(got.told)[i] - value), want.told[Math.min(i, want.told.length - 1)]).toBeLessThan(1e-3);
  });
});
