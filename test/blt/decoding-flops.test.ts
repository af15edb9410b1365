import { type BltConfig, bltFlops, type Checkpoint, Decoder, decodingFlops } from '@blt-ts/blt';
import { createWasmBackend, totalFlops, withLedger } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../support/runs.ts';
import { configs, row, seeds, smallModel } from '../support/small-model.ts';

const wasm = createWasmBackend();

/** Keys seen by each position of a text: its window, or all before it. */
const meanKeys = (n: number, window: number | null): number =>
  Array.from({ length: n }, (_, i) => Math.min(i + 1, window ?? i + 1)).reduce((a, b) => a + b, 0) / n;

test('the FLOPs executed byte by byte are those of the formula', () => {
  fc.assert(
    fc.property(configs, seeds, row(8, 40), (config, seed, ids) => {
      const text = ids.map((id, i) => (i > 0 && id === 2 ? 40 : id)); // one document
      const decoder = new Decoder(smallModel(config, seed, wasm) as Checkpoint);
      const { ledger } = withLedger(() => {
        for (const id of text) decoder.feed([[id]]);
      });
      const executed = totalFlops(ledger, ['matmul', 'intervalAttention']);
      const patches = decoder.globalSteps;
      const closed = decoder.patchLengths().reduce((a, b) => a + b, 0);
      const keys = meanKeys(text.length, config.behaviour === 'facebook' ? config.window : null);
      const {
        patcher,
        encoder,
        decoder: local,
        global,
      } = decodingFlops(config, {
        patchBytes: text.length / patches,
        localKeys: keys,
        globalKeys: (patches + 1) / 2,
      });
      // Cross-attention of the encoder is done for finished patches only: at the end, some bytes wait in the open one.
      const C = config.encoder.hiddenSize;
      const kv = (C / config.encoder.numAttentionHeads) * config.encoder.numKeyValueHeads;
      const refined = config.behaviour === 'facebook' && config.encoder.crossAttnAllLayers ? config.encoder.numHiddenLayers : 1; // biome-ignore format: one line
      const waiting = (text.length - closed) * refined * (4 * C * kv + 4 * config.crossAttnK * C);
      const expected = (patcher + encoder + local + global) * text.length - waiting;
      expect(Math.abs(executed - expected)).toBeLessThan(1e-9 * expected);
    }),
    { numRuns: runs(40) },
  );
});

test("the paper's formula agrees within 6% where widths are its own: feed-forward 8/3 of the width, one key head a head", () => {
  const stack = (hiddenSize: number, numHiddenLayers: number) => ({
    hiddenSize,
    numHiddenLayers,
    numAttentionHeads: 4,
    numKeyValueHeads: 4,
    intermediateSize: (8 * hiddenSize) / 3,
    maxPositionEmbeddings: 8192,
    rmsNormEps: 1e-5,
    ropeTheta: 500_000,
  });
  const config: BltConfig = {
    vocabSize: 260,
    behaviour: 'facebook',
    window: 512,
    encoder: { ...stack(768, 1), crossAttnAllLayers: true },
    decoder: { ...stack(768, 9), crossAttnAllLayers: true },
    global: stack(1536, 24),
    patcher: null,
    crossAttnK: 2,
    hash: { groupSizes: [], functions: 1, vocab: 1 },
    patching: { mode: 'space' },
  };
  const patchBytes = 6;
  const contextBytes = 8192;
  const { total } = decodingFlops(config, {
    patchBytes,
    localKeys: 513 / 2,
    globalKeys: (contextBytes / patchBytes + 1) / 2,
  });
  const paper = bltFlops({
    globalWidth: 1536,
    globalLayers: 24,
    encoderWidth: 768,
    encoderLayers: 1,
    decoderWidth: 768,
    decoderLayers: 9,
    contextBytes,
    patchBytes,
    k: 2,
    vocab: 260,
  }).forward;
  expect(Math.abs(total / paper - 1)).toBeLessThan(0.06);
});
