/**
 * The whole model on a device that must be waited for: gpu.js's WebAssembly, or WebGPU with BLT_TEST_WEBGPU=1 (see
 * test/tensor/gpu/drivers/webgpu.test.ts). Every answer is that of the CPU: bytes and patches equal, numbers within rounding.
 */
import {
  type BltConfig,
  Decoder,
  evaluateBlt,
  evaluateEntropyModel,
  evaluationRows,
  type GenerateOptions,
  generate,
  generateAsync,
  generateBatch,
  generateBatchAsync,
  layoutOptions,
  modelPatchLengths,
  nextByteLogits,
  nextByteLogitsAsync,
  type PatchingOptions,
  rowLimits,
  scoreEntropies,
  scoreEntropiesAsync,
  traceCheckpoint,
  traceCheckpointAsync,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import { describe, expect, test } from 'vitest';
import { smallModel } from '../support/small-model.ts';

const asked = process.env.BLT_TEST_WEBGPU;
if (asked && asked !== 'native') process.env.EGL_PLATFORM = 'surfaceless';
const device = await createGpuBackend({ mode: asked ? 'webgpu' : 'webasm' });
const wasm = createWasmBackend();

const local = transformerConfig({ hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 4, numKeyValueHeads: 2 });
const config = (patching: PatchingOptions, behaviour: BltConfig['behaviour']): BltConfig => ({
  vocabSize: VOCAB_SIZE,
  behaviour,
  window: 24,
  encoder: { ...local, crossAttnAllLayers: false },
  decoder: { ...local, numHiddenLayers: 2, crossAttnAllLayers: true },
  global: transformerConfig({ hiddenSize: 24, numHiddenLayers: 2, numAttentionHeads: 2 }),
  patcher: transformerConfig({ hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2, ropeTheta: 10_000 }),
  crossAttnK: 2,
  hash: { groupSizes: [3, 4], functions: 1, vocab: 97 },
  patching,
});

/** One form of each kind of patching, thresholds near what untrained models give. */
const modes: readonly (readonly [PatchingOptions, BltConfig['behaviour']])[] = [
  [{ mode: 'entropy', threshold: 5.41 }, 'facebook'],
  [{ mode: 'entropy', threshold: 0.005, monotonic: true }, 'huggingface'],
  [{ mode: 'entropy', threshold: 5.48, thresholdAdd: 0.001, maxPatchLength: 9 }, 'facebook'],
  [{ mode: 'space' }, 'facebook'],
  [{ mode: 'static', patchSize: 3 }, 'huggingface'],
  [{ mode: 'byte' }, 'facebook'],
  [{ mode: 'bpe', maxPatchLength: 6 }, 'facebook'],
];

const text = 'Call me Ishmael. Größe 日本語, x += a[i] * 2.5; 0123 🐳 ';
const ids = (bytes: number, from = 0): Int32Array => {
  const all = new TextEncoder().encode(text);
  return Int32Array.of(1, ...Array.from({ length: bytes - 1 }, (_, i) => all[(from + i) % all.length] + 4));
};

/** The largest difference, as a share of the largest value. */
function off(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let [worst, scale] = [0, 1e-3];
  for (let i = 0; i < want.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - want[i]));
    scale = Math.max(scale, Math.abs(want[i]));
    if (!(Math.abs(got[i]) < Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
  }
  return worst / scale;
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Rounding of sums of some dozens of products, layer after layer. */
const ROUNDING = 2e-5;

describe.each(modes)('%j, %s', (patching, behaviour) => {
  const c = config(patching, behaviour);
  const [model, here] = [smallModel(c, 7, device), smallModel(c, 7, wasm)];
  const rows = [ids(60), ids(1, 9), ids(23, 31)];
  rows[0][40] = 2; // a document ends

  test('entropies and patches', async () => {
    const options = { ...layoutOptions(c), batchBytes: 70 };
    const got = await scoreEntropiesAsync(model.patcher, rows, c.patcher!, { ...options, backend: device });
    const want = scoreEntropies(here.patcher, rows, c.patcher!, { ...options, backend: wasm });
    const cut = (entropies: Float32Array[]) => rows.map((row, r) => modelPatchLengths(row, entropies[r], patching));
    expect(cut(got)).toEqual(cut(want));
    got.forEach((H, r) => {
      expect(off(H, want[r])).toBeLessThan(ROUNDING);
    });
  });

  test('decoding byte by byte, texts of different lengths side by side', async () => {
    const [there, decoder] = [new Decoder(model, { sequences: 3 }), new Decoder(here, { sequences: 3 })];
    const prompts = rows.map((row, r) => row.subarray(0, [30, 1, 5][r]));
    const options = { all: true };
    const got = [await there.feedAsync(prompts, options)];
    const want = [decoder.feed(prompts, options)];
    for (let i = 0; i < 12; i++) {
      const next = rows.map((row, r) => row.subarray(prompts[r].length + i, prompts[r].length + i + 1));
      got.push(await there.feedAsync(next));
      want.push(decoder.feed(next));
    }
    got.forEach((logits, i) => {
      for (let r = 0; r < 3; r++) expect(off(logits[r], want[i][r]), `step ${i}, text ${r}`).toBeLessThan(ROUNDING);
    });
    for (let r = 0; r < 3; r++) expect(there.patchLengths(r)).toEqual(decoder.patchLengths(r));
    expect(there.globalSteps).toBe(decoder.globalSteps);
    for (const d of [there, decoder]) d.release();
    expect(off(await nextByteLogitsAsync(model, rows[2]), nextByteLogits(here, rows[2]))).toBeLessThan(ROUNDING);
  });

  test('generated bytes: greedy, sampled, drafted, side by side', async () => {
    const greedy: GenerateOptions = { maxBytes: 8, temperature: 0, ignoreEos: true, contextBytes: 26 };
    for (const options of [greedy, { ...greedy, draftBytes: 4 }, { ...greedy, temperature: 0.8, seed: 3 }]) {
      const got = await collected(generateAsync(model, 'The whale ', options));
      expect(got).toEqual([...generate(here, 'The whale ', options)]);
      expect(got.length).toBe(8);
    }
    const prompts = ['The whale ', '', 'x += 1'];
    const got = await collected(generateBatchAsync(model, prompts, greedy));
    expect(got).toEqual([...generateBatch(here, prompts, greedy)]);
  });

  test('a trace: logits, loss and all gradients', async () => {
    const [got, want] = [
      await traceCheckpointAsync(model, rows, { grads: true }),
      traceCheckpoint(here, rows, { grads: true }),
    ];
    expect(got.patchLengths).toEqual(want.patchLengths);
    expect(Math.abs(got.loss! - want.loss!)).toBeLessThan(ROUNDING);
    expect(got.tensors.map(([name]) => name)).toEqual(want.tensors.map(([name]) => name));
    got.tensors.forEach(([name, { data }], i) => {
      expect(off(data as Float32Array, want.tensors[i][1].data as Float32Array), name).toBeLessThan(ROUNDING);
    });
    const without = await traceCheckpointAsync(model, rows.slice(1, 2));
    expect(without.loss).toBe(null);
  });

  test('bits per byte', async () => {
    const patched = (await traceCheckpointAsync(model, rows)).patchLengths;
    const documents = rows.map((row, r) => {
      const whole = patched[r].reduce((a, b) => a + b, 0);
      const lengths = [...patched[r]];
      lengths[lengths.length - 1] -= whole - row.length; // the next token is not there
      return { ids: row, patchLengths: Int32Array.from(lengths.filter((length) => length > 0)) };
    });
    const some = evaluationRows(documents, { patchesPerRow: 8, limits: rowLimits(c) });
    const [got, want] = [await evaluateBlt(model.params, some, c), await evaluateBlt(here.params, some, c)];
    expect(got.bytes).toBe(want.bytes);
    expect(Math.abs(got.bitsPerByte - want.bitsPerByte)).toBeLessThan(ROUNDING);
    const options = { ...layoutOptions(c), rowBytes: 16 };
    const entropy = [
      await evaluateEntropyModel(model.patcher, rows, c.patcher!, options),
      await evaluateEntropyModel(here.patcher, rows, c.patcher!, options),
    ];
    expect(Math.abs(entropy[0].bitsPerByte - entropy[1].bitsPerByte)).toBeLessThan(ROUNDING);
  });
});

const entropyModel = smallModel(config(...modes[0]), 7, device);

test('two generations that wait for each other do not get into each other', async () => {
  const options = { maxBytes: 6, temperature: 0, ignoreEos: true } as const;
  const alone = [
    await collected(generateAsync(entropyModel, 'one', options)),
    await collected(generateAsync(entropyModel, 'another', options)),
  ];
  expect(
    await Promise.all([
      collected(generateAsync(entropyModel, 'one', options)),
      collected(generateAsync(entropyModel, 'another', options)),
    ]),
  ).toEqual(alone);
});

test('a decoder takes one feed at a time', async () => {
  const decoder = new Decoder(entropyModel);
  const first = decoder.feedAsync([ids(5)]);
  await expect(decoder.feedAsync([ids(2)])).rejects.toThrow(
    'it is still reading the ids given before; await that first',
  );
  expect((await first)[0].length).toBe(VOCAB_SIZE);
  expect(decoder.length()).toBe(5);
  decoder.release();
});

test('a generation that is broken off leaves nothing on the device', async () => {
  await device.settled();
  const before = device.bytesInUse;
  for await (const _ of generateAsync(entropyModel, 'The whale', { maxBytes: 50, ignoreEos: true })) break;
  await device.settled();
  expect(device.bytesInUse).toBe(before);
});

test('the forms that do not wait say so', () => {
  const answer = /values on web(asm|gpu) must be waited for: use the Async form of this function/;
  expect(() => generate(entropyModel, 'x', { maxBytes: 1 }).next()).toThrow(answer);
  expect(() => nextByteLogits(entropyModel, ids(3))).toThrow(answer);
  expect(() => traceCheckpoint(entropyModel, [ids(3)])).toThrow(answer);
  expect(() => new Decoder(entropyModel).feed([ids(3)])).toThrow(answer);
});
