/**
 * Bits per byte count bytes of text, in every figure of a run. Documents of one byte show it best: [BOS, byte, EOS] are two targets, or three
 * where documents follow each other, of which one is a byte.
 */

import { crossEntropy } from '@blt-ts/autograd';
import {
  BYTE_OFFSET,
  byteBatch,
  byteRows,
  calibrateThreshold,
  countBytes,
  type EntropyModelParams,
  EpochLoader,
  encode,
  entropyModelLogits,
  entropyModelPlan,
  evaluateEntropyModel,
  initParameters,
  meanPatchSize,
  Session,
  type SessionEvent,
  type StepReport,
  TrainingLoop,
  transformerConfig,
} from '@blt-ts/blt';
import { createWasmBackend, Random, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../../support/runs.ts';
import { seeds } from '../../support/small-model.ts';
import { corpus, tinyPlan } from '../../support/tiny-run.ts';

const backend = createWasmBackend({ threads: 1 });
const document = (text: string | Uint8Array) => encode(text, { bos: true, eos: true });
const targetsOf = (rows: readonly { readonly targets: Int32Array }[]) =>
  Int32Array.from(rows.flatMap(({ targets }) => [...targets]));

/** Entropy of the bytes' own frequencies, in bits per byte: no one distribution predicts them for less (Gibbs). */
function entropyBits(ids: Int32Array): number {
  const counts = new Map<number, number>();
  const bytes = ids.filter((id) => id >= BYTE_OFFSET);
  for (const id of bytes) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts.values()].reduce((bits, n) => bits - (n / bytes.length) * Math.log2(n / bytes.length), 0);
}

const digits = (seed: number, n: number) => {
  const random = new Random(seed);
  return Array.from({ length: n }, () => document(random.integer(16).toString(16)));
};
const config = transformerConfig({ hiddenSize: 8, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 16 });
const seen = { window: 16, documents: true };

/** An entropy model in training, and the targets of its newest step. */
function entropyLoop(documents: readonly Int32Array[], seed: number, lr: number) {
  const random = new Random(seed);
  const plan = entropyModelPlan(config, 260);
  const params = initParameters<EntropyModelParams>(plan, random.fork('model'), { backend });
  const loader = new EpochLoader(random, (r, epoch) => byteRows(documents, 96, r, epoch));
  const { loop: options } = tinyPlan().entropyModel!;
  const newest = { targets: new Int32Array(0) };
  const loop = new TrainingLoop(
    params,
    loader,
    {
      batch: (rows) => {
        newest.targets = targetsOf(rows);
        return { targets: newest.targets, batch: byteBatch(rows.map((r) => r.ids), config, { ...seen, backend }) }; // biome-ignore format: one sentence
      },
      losses: (p, { targets, batch }) =>
        crossEntropy(entropyModelLogits(p, batch, config), tensor(targets, undefined, { backend })),
    },
    { ...options, lr, steps: 150, warmupSteps: 5, batchRows: 2 },
  );
  return { loop, newest, params };
}

test('of single random digits, no training figure is below the entropy of the digits it is about', async () => {
  const { loop, newest } = entropyLoop(digits(1, 500), 2, 0.02);
  let last: StepReport | undefined;
  let bytes = 0;
  while (!loop.done) {
    last = await loop.next();
    // Nothing is seen across documents: one distribution, that after BOS, predicts all digits of a step.
    expect(last.bitsPerByte).toBeGreaterThan(entropyBits(newest.targets) - 1e-5);
    expect(last.bytes).toBe(countBytes(newest.targets));
    expect(last.targets).toBe(newest.targets.length);
    expect(last.bitsPerByte).toBeCloseTo((last.lossNats * last.targets) / last.bytes / Math.LN2, 10);
    bytes += last.bytes;
  }
  expect(loop.bytesSeen).toBe(bytes);
  // The mean over all targets is another figure: ends of documents cost nothing once they are learnt.
  expect(last!.lossNats / Math.LN2).toBeLessThan(2);
  expect(last!.bitsPerByte).toBeLessThan(5);
});

test('of documents of one byte each, an evaluation by any model is not below the entropy of the bytes', async () => {
  const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(seeds, bytes, async (seed, all) => {
      const documents = all.map((byte) => document(Uint8Array.of(byte)));
      const { params } = entropyLoop(documents, seed, 0);
      const { bitsPerByte } = await evaluateEntropyModel(params, documents, config, seen);
      expect(bitsPerByte).toBeGreaterThan(entropyBits(targetsOf(documents.map((targets) => ({ targets })))) - 1e-5);
    }),
    { numRuns: runs(20) },
  );
});

test('a step without a byte of text has no bits per byte, and is no error', async () => {
  const { loop } = entropyLoop([document(''), document('')], 1, 0.01);
  expect(await loop.next()).toMatchObject({ bytes: 0, bitsPerByte: null });
  expect(loop.bytesSeen).toBe(0);
});

const texts = fc.array(fc.string({ unit: fc.constantFrom(...'ab c\0é'), maxLength: 40 }), {
  minLength: 1,
  maxLength: 8,
});
const patching = fc.constantFrom(
  { patchingMode: 'space' },
  { patchingMode: 'byte' },
  { patchingMode: 'static', patchSize: 3 },
  { patchingMode: 'entropy', entropySteps: 1 },
  { patchingMode: 'entropy', entropySteps: 1, threshold: 5.5 },
) as fc.Arbitrary<Parameters<typeof tinyPlan>[0]>;

async function until<K extends SessionEvent['kind']>(session: Session, kind: K): Promise<SessionEvent & { kind: K }> {
  for (;;) {
    const event = await session.next();
    if (event.kind === kind) return event as SessionEvent & { kind: K };
  }
}

test('patches times mean patch are the bytes of the text, however short its documents are', async () => {
  await fc.assert(
    fc.asyncProperty(texts, patching, async (all, options) => {
      // One that is long enough for a threshold to be looked for.
      const train = [...all, 'abc'].map(document);
      const session = new Session(tinyPlan(options), { train, heldOut: train }, backend);
      const { patches, meanPatchBytes } = await until(session, 'patched');
      expect(patches * meanPatchBytes).toBeCloseTo(countBytes(train), 9);
      expect(session.heldOutPatchBytes()).toBe(meanPatchBytes);
      let bytes = 0;
      for (let n = 0; n < 2; n++) bytes += (await until(session, 'step')).report.bytes;
      expect(session.bytesSeen).toBe(bytes);
    }),
    { numRuns: runs(25) },
  );
});

test('a threshold is found for bytes of text: specials are positions, not bytes', () => {
  const scores = fc.array(fc.array(fc.integer({ min: 0, max: 4096 }), { minLength: 3, maxLength: 20 }), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(scores, fc.integer({ min: 8, max: 60 }), (all, t) => {
      const documents = all.map((H) => Float32Array.from(H, (h) => h / 1024));
      const bytes = documents.reduce((n, H) => n + H.length - 2, 0);
      const found = calibrateThreshold(documents, t / 8, { bytes });
      expect(found.bytes).toBe(bytes);
      expect(found.patches * found.meanPatchBytes).toBeCloseTo(bytes, 9);
      for (const threshold of [-9, ...documents.flatMap((H) => [...H])]) {
        const patches = documents.reduce((n, H) => n + 2 + H.subarray(1, -1).filter((h) => h > threshold).length, 0);
        expect(Math.abs(found.meanPatchBytes - t / 8)).toBeLessThanOrEqual(Math.abs(bytes / patches - t / 8));
      }
    }),
    { numRuns: runs(100) },
  );
  expect(() => calibrateThreshold([Float32Array.of(1, 2, 3)], 4, { bytes: 4 })).toThrow('4 bytes among 3 positions');
  expect(meanPatchSize(Int32Array.of(1, 2), 1)).toBe(0.5);
});

test('held-out text in one patch longer than the model: rows are cut, and it is evaluated whole', async () => {
  const heldOut = [document('\0'.repeat(9000))];
  const session = new Session(
    tinyPlan({ patchingMode: 'space', steps: 2, evalEvery: 1 }),
    { ...corpus, heldOut },
    backend,
  );
  expect((await until(session, 'evaluation')).evaluation.bytes).toBe(9000);
  const full = await session.evaluateFully(session.checkpoint().params);
  expect(full.bytes).toBe(9000);
  expect(full.standardError).toBeGreaterThan(0);
  expect((await until(session, 'done')).reason).toBe('steps');
});

test.each([[[]], [['']], [['', '']]])(
  'held-out texts %j have no byte: nothing is evaluated, and nothing is NaN',
  async (held) => {
    const heldOut = held.map(document);
    const session = new Session(tinyPlan({ steps: 2, evalEvery: 1 }), { ...corpus, heldOut }, backend);
    const kinds: string[] = [];
    while (session.phase !== 'done') {
      const event = await session.next();
      if (event.kind !== 'progress' && event.kind !== 'milestone') kinds.push(event.kind);
      if (event.kind === 'entropy model') expect(event.evaluation).toBe(null);
    }
    expect(kinds.slice(3)).toEqual(['entropy model', 'patched', 'step', 'step', 'done']);
    expect(session.best).toBe(null);
    await expect(session.evaluateFully(session.checkpoint().params)).rejects.toThrow('no bytes to predict');
  },
);

test('a sample of held-out rows that happens to have no byte is not what is evaluated', async () => {
  const heldOut = ['', '', '', 'abc'].map(document);
  const plan = { ...tinyPlan({ patchingMode: 'space', steps: 1 }), evalBytes: 1 };
  const session = new Session(plan, { ...corpus, heldOut }, backend);
  expect((await until(session, 'evaluation')).evaluation.bytes).toBe(3);
});
