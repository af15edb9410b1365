/** @file The needs of a model on a device: the size of its buffers, and the kernels that are compiled on the way. */
import {
  type BltConfig,
  type BltParams,
  bltPlan,
  Decoder,
  type EntropyModelParams,
  entropyModelPlan,
  initParameters,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { Random } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { backendOf, type GpuBackend } from '../../packages/tensor/src/gpu/backend.ts';
import { createWebasmDriver } from '../../packages/tensor/src/gpu/drivers/webasm.ts';
import { lossAndGradients } from '../support/gpu-training.ts';
import { watched } from '../support/watched-driver.ts';

const stack = transformerConfig({ hiddenSize: 4, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 4 });
const layers = { ...stack, maxPositionEmbeddings: 32_768 };
const config: BltConfig = {
  vocabSize: VOCAB_SIZE,
  behaviour: 'facebook',
  window: 512,
  encoder: { ...layers, crossAttnAllLayers: false },
  decoder: { ...layers, crossAttnAllLayers: true },
  global: layers,
  patcher: { ...layers, ropeTheta: 10_000 },
  crossAttnK: 1,
  hash: { groupSizes: [3], functions: 1, vocab: 64 },
  patching: { mode: 'static', patchSize: 4 },
};

// BLT_SLOW=1: the real size, 32,768 bytes and 8,193 patches in rectangles of 32 MB; else a sixteenth of it, in 128 KB.
const bytes = process.env.BLT_SLOW ? 32_768 : 2048;
const bound = process.env.BLT_SLOW ? 2 ** 23 : 2 ** 15;

test(`one document of ${bytes} bytes, window 512, ${bytes / 4 + 1} patches trains with rectangles of ${bound} elements`, async () => {
  const ids = Int32Array.from({ length: bytes }, (_, i) => 4 + ((i * 7919) % 251));
  const patchLengths = Int32Array.of(1, ...new Array<number>(bytes / 4).fill(4));
  const { driver, elements } = watched(createWebasmDriver(process.env.BLT_SLOW ? {} : { largest: bound }));
  const { loss, gradients } = await lossAndGradients(config, [{ ids, patchLengths }], backendOf(driver));
  expect(loss / ids.length).toBeCloseTo(Math.log(VOCAB_SIZE), 0);
  for (const [name, g] of gradients) expect(g.every(Number.isFinite), name).toBe(true);
  for (const rectangle of ['scores', 'probabilities', 'recalled', 'scoreGradient']) {
    expect(elements.get(rectangle), rectangle).toBeGreaterThan(bound / 2);
    expect(elements.get(rectangle), rectangle).toBeLessThanOrEqual(bound);
  }
  // All else is rows times channels: nothing is larger than the logits.
  expect(Math.max(...elements.values())).toBeLessThanOrEqual(Math.max(bound, bytes * VOCAB_SIZE));
}, 900_000);

/** Decodes `texts` texts of different lengths, growing to about `length` bytes, in pieces of up to 24 bytes. */
async function decode(
  backend: GpuBackend,
  params: BltParams,
  patcher: EntropyModelParams,
  texts: number,
  length: number,
) {
  // Many bytes start a patch.
  const entropy: BltConfig = { ...config, patching: { mode: 'entropy', threshold: 0.0005, monotonic: true } };
  const decoder = new Decoder({ config: entropy, params, patcher }, { sequences: texts });
  const read = Array.from({ length: texts }, () => 0);
  for (let step = 0; read[0] < length; step++) {
    const rows = read.map((at, r) => {
      const count = step % 4 === 0 ? 1 + ((7 * step + r) % 24) : Number(r === 0 || step % (r + 2) !== 0);
      return Int32Array.from({ length: count }, (_, i) => (at + i === 0 ? 1 : 4 + (((at + i) * (r + 3) * 7919) % 251)));
    });
    await decoder.feedAsync(rows);
    rows.forEach((row, r) => {
      read[r] += row.length;
    });
  }
  const patches = decoder.globalSteps;
  decoder.release();
  await backend.settled();
  return patches;
}

test('decoding compiles nothing after warm-up: batches of 1 to 4 texts, positions growing past every threshold', async () => {
  const asked = process.env.BLT_TEST_WEBGPU;
  const { driver, elements } = watched(createWebasmDriver());
  const { createGpuBackend } = await import('@blt-ts/tensor/gpu');
  if (asked && asked !== 'native') process.env.EGL_PLATFORM = 'surfaceless';
  const backend = asked ? await createGpuBackend({ mode: 'webgpu' }) : backendOf(driver);
  // WebGPU and WebGL 2 compile each kernel once, whatever its sizes; webasm once for each size.
  const compiled = () => (asked ? backend.compiles : elements.size);
  const random = new Random(3);
  const params = initParameters<BltParams>(bltPlan(config), random, { backend });
  const patcher = initParameters<EntropyModelParams>(entropyModelPlan(config.patcher!, VOCAB_SIZE), random, {
    backend,
  });
  expect(await decode(backend, params, patcher, 2, 300)).toBeGreaterThan(50);
  const warm = compiled();
  expect(warm).toBeGreaterThan(20);
  for (const texts of [2, 3, 4]) await decode(backend, params, patcher, texts, 60);
  await decode(backend, params, patcher, 1, 290);
  expect(compiled()).toBe(warm);
});
