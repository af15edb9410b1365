import {
  type BltConfig,
  encode,
  evaluateBlt,
  evaluateWithMemory,
  evaluationRows,
  generate,
  generateBatch,
  learnMemory,
  MemoryMixture,
  type MixedLosses,
  NOT_SCORED,
  patchLengths,
  rowLimits,
  transformerConfig,
} from '@blt-ts/blt';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { smallModel } from '../../support/small-model.ts';

const stack = (maxPositionEmbeddings: number) =>
  transformerConfig({
    hiddenSize: 8,
    numHiddenLayers: 1,
    numAttentionHeads: 2,
    intermediateSize: 8,
    maxPositionEmbeddings,
  });
const config: BltConfig = {
  vocabSize: 260,
  behaviour: 'facebook',
  window: 16,
  encoder: { ...stack(64), crossAttnAllLayers: false },
  global: stack(16),
  decoder: { ...stack(64), crossAttnAllLayers: true },
  patcher: stack(32),
  crossAttnK: 1,
  hash: { groupSizes: [3], functions: 1, vocab: 32 },
  patching: { mode: 'space' },
};
const model = smallModel(config, 1, createWasmBackend({ threads: 1 }));
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. ';
const documents = [TEXT.repeat(3), 'the age of foolishness', 'of times'].map((text) => {
  const ids = encode(text, { bos: true, eos: true });
  return { ids, patchLengths: patchLengths(ids, null, config.patching, { includeNextToken: false }) };
});
const rows = evaluationRows(documents, { patchesPerRow: 8, limits: rowLimits(config, 48) });
const mixture = () => new MemoryMixture(learnMemory([new TextEncoder().encode(TEXT)]));

test('the model alone has the figure it has without a memory, and the memory lowers it on text it knows', async () => {
  const plain = await evaluateBlt(model.params, rows, config);
  const { alone, withMemory } = await evaluateWithMemory(model.params, rows, config, mixture());
  expect(alone).toEqual(plain);
  expect(withMemory.bytes).toBe(plain.bytes);
  expect(withMemory.bitsPerByte).toBeLessThan(plain.bitsPerByte / 2);
});

test('how many rows are computed at once changes no bit', async () => {
  // On this backend a row's logits do not depend on the rows beside it.
  const { params } = smallModel(config, 1, createReferenceBackend());
  const [one, some, all] = await Promise.all(
    [1, 100, 1e6].map((batchBytes) => evaluateWithMemory(params, rows, config, mixture(), { batchBytes })),
  );
  expect(one.withMemory.standardError).toBe(all.withMemory.standardError);
  expect(one.withMemory.bitsPerByte).toBeCloseTo(all.withMemory.bitsPerByte, 12);
  expect(some.withMemory.bitsPerByte).toBeCloseTo(all.withMemory.bitsPerByte, 12);
});

/** A memory in another thread answers later; here, after a turn of the event loop. */
function later(answer: (...asked: Parameters<MixedLosses['losses']>) => Float64Array): MixedLosses {
  return {
    async losses(logits, vocabSize, ids) {
      const made = answer(logits, vocabSize, ids);
      await new Promise((resolve) => setTimeout(resolve));
      return made;
    },
  };
}

test('a memory that answers later gives the same bits, and its failure ends the evaluation', async () => {
  const [here, there] = [mixture(), mixture()];
  const remote = later((...asked) => there.losses(...asked));
  const figures = await evaluateWithMemory(model.params, rows, config, here, { batchBytes: 50 });
  expect(await evaluateWithMemory(model.params, rows, config, remote, { batchBytes: 50 })).toEqual(figures);

  let calls = 0;
  const broken = later((_, __, ids) => {
    if (++calls === 2) throw new Error('the thread has ended');
    return new Float64Array(ids.length);
  });
  await expect(evaluateWithMemory(model.params, rows, config, broken, { batchBytes: 50 })).rejects.toThrow(
    'the thread has ended',
  );
});

test('an id that is not scored costs nothing and teaches nothing', () => {
  const [some, all] = [mixture(), mixture()];
  const [logits, vocab] = [Float32Array.from({ length: 780 }, (_, i) => (i * 7) % 5), 260];
  const losses = some.losses(logits, vocab, Int32Array.of(70, NOT_SCORED, 90));
  expect([...losses]).toEqual([all.score(logits, vocab, 70, 0), 0, all.score(logits, vocab, 90, 520)]);
});

test('an untrained model writes what its memory has read; drafts and batches are for the model alone', () => {
  const options = { maxBytes: 24, temperature: 0, ignoreEos: true };
  const checkpoint = { ...model, config };
  const made = () =>
    Buffer.from([...generate(checkpoint, 'it was the ', { ...options, memory: mixture() })]).toString();
  expect(made()).toMatch(/^(best|worst|age) of /);
  expect(made()).toBe(made());
  expect([...generate(checkpoint, 'it was the ', options)].length).toBe(24);
  expect(() => [...generate(checkpoint, 'a', { ...options, memory: mixture(), draftBytes: 4 })]).toThrow(
    'draftBytes 4 is for the model alone; leave it out, or the memory',
  );
  expect(() => [...generateBatch(checkpoint, ['a'], { ...options, memory: mixture() })]).toThrow('is for one text');
});
