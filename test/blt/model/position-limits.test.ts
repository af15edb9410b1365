/** Patches may be as short as a byte, so a text within the local models' positions can have more patches than the global transformer has. */
import {
  type BltConfig,
  Decoder,
  type GenerateOptions,
  generate,
  generateBatch,
  nextByteLogits,
  type PatchingOptions,
  traceCheckpoint,
  transformerConfig,
} from '@blt-ts/blt';
import { createReferenceBackend } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { smallModel } from '../../support/small-model.ts';

const stack = (maxPositionEmbeddings: number) =>
  transformerConfig({
    hiddenSize: 8,
    numHiddenLayers: 1,
    numAttentionHeads: 2,
    intermediateSize: 8,
    maxPositionEmbeddings,
  });
const modelOf = (patching: PatchingOptions) => {
  const config: BltConfig = {
    vocabSize: 260,
    behaviour: 'facebook',
    window: null,
    encoder: { ...stack(40), crossAttnAllLayers: false },
    global: stack(8),
    decoder: { ...stack(40), crossAttnAllLayers: true },
    patcher: null,
    crossAttnK: 1,
    hash: { groupSizes: [], functions: 1, vocab: 8 },
    patching,
  };
  const { params } = smallModel({ ...config, patcher: stack(8) }, 3, createReferenceBackend({ precision: 'f64' }));
  return { config, params, patcher: null };
};
const model = modelOf({ mode: 'byte' });
const PROMPT = 'abcdefghijklmnopqrstuvwxyz';
const options: GenerateOptions = { maxBytes: 20, temperature: 1, seed: 5, ignoreEos: true, contextBytes: 40 };

describe('generation with 40 positions for bytes and 8 for patches', () => {
  test('a long prompt and a long answer go on from the newer half', () => {
    const bytes = [...generate(model, PROMPT, options)];
    expect(bytes).toHaveLength(20);
    // 27 ids, then 14, then 7 of them fit.
    const greedy = { ...options, temperature: 0, maxBytes: 1 };
    const newest = Int32Array.from([...PROMPT.slice(-7)].map((c) => c.charCodeAt(0) + 4));
    const logits = nextByteLogits(model, newest).map((z, id) => (id < 4 ? Number.NEGATIVE_INFINITY : z));
    expect([...generate(model, PROMPT, greedy)]).toEqual([logits.indexOf(Math.max(...logits)) - 4]);
  });

  test.each([2, 6, 19])('drafts of %i bytes change nothing', (draftBytes) => {
    for (const patching of [{ mode: 'byte' }, { mode: 'static', patchSize: 3 }] as const) {
      const here = modelOf(patching);
      for (const temperature of [0, 1]) {
        const o = { ...options, maxBytes: 60, temperature };
        expect([...generate(here, PROMPT, { ...o, draftBytes })]).toEqual([...generate(here, PROMPT, o)]);
      }
    }
  });

  test('several texts, of which only some have too many patches', () => {
    const texts: number[][] = [[], [], []];
    for (const { sequence, byte } of generateBatch(model, [PROMPT, 'a', ''], options)) texts[sequence].push(byte);
    expect(texts.map((made) => made.length)).toEqual([20, 20, 20]);
    expect(texts[0]).toEqual([...generate(model, PROMPT, options)]);
  });

  test('a decoder says which text it is, and has read nothing of the piece', () => {
    const decoder = new Decoder(model, { sequences: 2 });
    decoder.feed([[1, 70], [1]]);
    expect(() => decoder.feed([[71], new Array(9).fill(70)])).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        sequences: [1],
        message: expect.stringContaining('10 patches, the model takes 8'),
      }),
    );
    expect([decoder.length(0), decoder.length(1)]).toEqual([2, 1]);
  });
});

test('a row for a trace is taken whole: one that is too long is refused by its number', () => {
  const rows = [Int32Array.of(1, 70), new Int32Array(41).fill(70)];
  expect(() => traceCheckpoint(modelOf({ mode: 'static', patchSize: 9 }), rows)).toThrow(
    'trace: row 1 has 41 ids, the model reads at most 40; cut it into shorter rows',
  );
});
