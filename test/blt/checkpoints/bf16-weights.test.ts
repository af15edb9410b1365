import {
  type BltConfig,
  type Checkpoint,
  checkpointFromStored,
  checkpointToSafetensors,
  Decoder,
  encode,
  generate,
  namedTensors,
  storedInMemory,
  transformerConfig,
  VOCAB_SIZE,
  type WeightFormat,
} from '@blt-ts/blt';
import { bf16ToF32, createWasmBackend, f32ToBf16 } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { isProductMatrix } from '../../../packages/blt/src/checkpoints/bf16-weights.ts';
import { distance } from '../../support/golden-model.ts';
import { predict, smallModel } from '../../support/small-model.ts';

const local = transformerConfig({ hiddenSize: 32, numHiddenLayers: 1, numAttentionHeads: 4, numKeyValueHeads: 2 });
const config: BltConfig = {
  vocabSize: VOCAB_SIZE,
  behaviour: 'facebook',
  window: 48,
  encoder: { ...local, crossAttnAllLayers: false },
  decoder: { ...local, numHiddenLayers: 2, crossAttnAllLayers: true },
  global: transformerConfig({ hiddenSize: 48, numHiddenLayers: 2, numAttentionHeads: 2 }),
  patcher: transformerConfig({ hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2, ropeTheta: 10_000 }),
  crossAttnK: 2,
  hash: { groupSizes: [3, 4, 8], functions: 1, vocab: 997 },
  patching: { mode: 'entropy', threshold: 5.08 },
};
const model = smallModel(config, 3, createWasmBackend()) as Checkpoint;

const loaded = (dtype: 'F32' | 'BF16', weights?: WeightFormat) => {
  const backend = createWasmBackend();
  const checkpoint = checkpointFromStored(storedInMemory(checkpointToSafetensors(model, dtype)), config, backend, {
    weights,
  });
  return { ...checkpoint, patcher: checkpoint.patcher!, backend };
};
const values = (checkpoint: Checkpoint) => new Map(namedTensors(checkpoint).map(([name, x]) => [name, x.readSync()]));

const text = encode(new TextEncoder().encode('the whale, the whale, and the sea; '.repeat(5)), { eos: false });

test('what is BF16 in the file stays so by default of decoding: the same values, half the memory', () => {
  const [wide, stored] = [loaded('BF16'), loaded('BF16', 'stored')];
  expect(values(stored)).toEqual(values(wide));
  const matrices = namedTensors(wide).filter(([name, x]) => isProductMatrix(name, x.shape));
  const halves = matrices.reduce((n, [, x]) => n + 2 * x.size, 0);
  expect(matrices.length).toBeGreaterThan(40);
  expect(stored.backend.bytesInUse).toBe(wide.backend.bytesInUse - halves);
  expect(values(loaded('F32', 'stored'))).toEqual(values(loaded('F32')));
});

test('`bf16` rounds the matrices of a float32 file, and nothing else', () => {
  const [wide, asBf16] = [loaded('F32'), loaded('F32', 'bf16')].map(values);
  for (const [name, x] of wide) {
    const matrix = isProductMatrix(name, namedTensors(model).find(([n]) => n === name)![1].shape);
    expect(asBf16.get(name)).toEqual(matrix ? bf16ToF32(f32ToBf16(x as Float32Array)) : x);
  }
});

test('decoding with BF16 weights gives the logits of the whole text, in one step or in several', () => {
  const asBf16 = loaded('F32', 'bf16');
  const [[whole], [rounded]] = [predict(asBf16, [text]).logits, predict(loaded('BF16'), [text]).logits];
  expect(distance(whole, rounded)).toBeLessThan(0.05); // the embeddings are rounded in one of them only
  const decoder = new Decoder(asBf16);
  const found: number[] = [];
  for (let at = 0, n = 1; at < text.length; at += n, n = 1 + ((n + 6) % 19)) {
    for (const x of decoder.feed([text.subarray(at, at + n)], { all: true })[0]) found.push(x);
  }
  expect(distance(found, whole)).toBeLessThan(1e-5);
});

test('drafts do not change the text', () => {
  const asBf16 = loaded('F32', 'bf16');
  const greedy = { maxBytes: 60, temperature: 0, ignoreEos: true };
  const made = [...generate(asBf16, 'the whale, the whale, ', greedy)];
  for (const draftBytes of [4, 16]) {
    expect([...generate(asBf16, 'the whale, the whale, ', { ...greedy, draftBytes })]).toEqual(made);
  }
});
