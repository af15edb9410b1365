import {
  type BltConfig,
  type Checkpoint,
  Decoder,
  encode,
  type PatchingOptions,
  transformerConfig,
  VOCAB_SIZE,
} from '@blt-ts/blt';
import { type Backend, createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { fixture } from '../../support/fixture.ts';
import { distance, type GoldenModel, loadGolden } from '../../support/golden-model.ts';
import { runs } from '../../support/runs.ts';
import { configs, cut, decoded, predict, row, seeds, smallModel } from '../../support/small-model.ts';

interface Trace {
  model: GoldenModel;
  completed_patch_lengths: number[];
  trace: {
    pos: number;
    token: number;
    entropy: number;
    patch_completed: boolean;
    global_steps_so_far: number;
  }[];
}

interface Continuation {
  model: GoldenModel;
  threshold: number;
  prompt_ids: number[];
  greedy_ids: number[];
  steps: { patch_lengths: number[]; last_entropy: number; logits_first8: number[]; argmax: number }[];
}

const withThreshold = (model: GoldenModel, threshold: number, backend: Backend): Checkpoint =>
  loadGolden(model, backend, { patching: { mode: 'entropy', threshold } });

const sum = (lengths: readonly number[]) => lengths.reduce((a, b) => a + b, 0);

describe.each(backends)('$name', ({ backend }) => {
  test.each(fixture<Trace[]>('incremental_trace.json').map((t) => [t.model, t] as const))(
    'the trace of %s is that of the independent decoder',
    (model, { trace, completed_patch_lengths }) => {
      const { threshold } = fixture<{ threshold: number }>(`${model}/single.expected.json`);
      const decoder = new Decoder(withThreshold(model, threshold, backend));
      for (const { token, entropy, global_steps_so_far } of trace) {
        decoder.feed([[token]]);
        expect(decoder.globalSteps).toBe(global_steps_so_far);
        expect(Math.abs(decoder.entropy() - entropy)).toBeLessThan(5e-6);
      }
      expect(decoder.patchLengths()).toEqual(completed_patch_lengths);
    },
  );

  test.each(
    fixture<Continuation[]>('generation.json').map((c) => [`${c.model}, ${c.prompt_ids.length} ids`, c] as const),
  )('greedy continuation of %s', (_, { model, threshold, prompt_ids, greedy_ids, steps }) => {
    const decoder = new Decoder(withThreshold(model, threshold, backend));
    let [logits] = decoder.feed([prompt_ids]);
    const made = [...prompt_ids];
    for (const step of steps) {
      expect(Math.abs(decoder.entropy() - step.last_entropy)).toBeLessThan(5e-6);
      expect(distance(logits.subarray(0, 8), step.logits_first8)).toBeLessThan(2e-5);
      const id = logits.indexOf(Math.max(...logits));
      expect(id).toBe(step.argmax);
      made.push(id);
      [logits] = decoder.feed([[id]]);
    }
    expect(made).toEqual(greedy_ids);
  });
});

const wasm = createWasmBackend();
// In 64 bits, so that what is left of a difference is the rounding of the logits themselves.
const exact = createReferenceBackend({ precision: 'f64' });

describe('decoding byte by byte', () => {
  test('gives the logits of the whole text, whatever the model, the patching and the pieces it is read in', () => {
    fc.assert(
      fc.property(
        configs,
        seeds,
        fc.array(row(1, 24), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 16 }),
        (config, seed, rows, pieces, chunkBytes) => {
          const model = smallModel(config, seed, exact);
          const decoder = new Decoder(model, { sequences: rows.length, chunkBytes });
          const logits = decoded(decoder, rows, pieces);
          const { logits: whole } = predict(model, rows);
          rows.forEach((_, r) => {
            expect(distance(logits[r], whole[r])).toBeLessThan(1e-6);
          });
          // One global step for every patch that is finished, and none for the open one.
          const lengths = cut(model, rows).map(({ patchLengths }) => [...patchLengths.slice(0, -1)]);
          expect(rows.map((_, r) => decoder.patchLengths(r))).toEqual(lengths);
          expect(decoder.globalSteps).toBe(sum(lengths.map((l) => l.length)));
          decoder.release();
        },
      ),
      { numRuns: runs(50) },
    );
  });
});

const BYTES = process.env.BLT_SLOW ? 2000 : 200;

/** Text of several languages, code, digits, and bytes that are no text. */
const mixed = (bytes: number, from: number): Int32Array => {
  const text =
    'Call me Ishmael. Größe 日本語のテスト, for (let i = 0; i < 10; i++) { x += a[i] * 2.5; }\n\t0123 наука и жизнь 🐳 ';
  const one = Uint8Array.from([...new TextEncoder().encode(text), 0, 255, 254, 128, 192, 13, 10]);
  return encode(Uint8Array.from({ length: bytes - 1 }, (_, i) => one[(from + i + Math.floor(i / 97)) % one.length]));
};

const local = transformerConfig({ hiddenSize: 32, numHiddenLayers: 1, numAttentionHeads: 4, numKeyValueHeads: 2 });

const mixedConfig = (patching: PatchingOptions, behaviour: BltConfig['behaviour']): BltConfig => ({
  vocabSize: VOCAB_SIZE,
  behaviour,
  window: 48,
  encoder: { ...local, crossAttnAllLayers: false },
  decoder: { ...local, numHiddenLayers: 2, crossAttnAllLayers: true },
  global: transformerConfig({ hiddenSize: 48, numHiddenLayers: 2, numAttentionHeads: 2 }),
  patcher: transformerConfig({ hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2, ropeTheta: 10_000 }),
  crossAttnK: 2,
  hash: { groupSizes: [3, 4, 8], functions: 1, vocab: 997 },
  patching,
});

/** Near what these models give, so that about one byte in three starts a patch. */
const modes: PatchingOptions[] = [
  { mode: 'entropy', threshold: 5.08 },
  { mode: 'entropy', threshold: 0.005, monotonic: true },
  { mode: 'entropy', threshold: 5.48, thresholdAdd: 0.001, maxPatchLength: 9 },
  { mode: 'space' },
  { mode: 'static', patchSize: 4 },
  { mode: 'byte' },
  { mode: 'bpe', maxPatchLength: 6 },
];

describe.each(modes.flatMap((patching) => (['facebook', 'huggingface'] as const).map((b) => [patching, b] as const)))(
  `${BYTES} bytes of mixed text, %j, %s`,
  (patching, behaviour) => {
    const model = smallModel(mixedConfig(patching, behaviour), 7, wasm);
    test.each([
      ['one text', [BYTES]],
      ['four texts of different lengths', [BYTES, 1, Math.round(BYTES / 3), BYTES - 7]],
    ])('%s: one byte after the other gives the logits of the whole', (_, lengths) => {
      const rows = lengths.map((n, r) => {
        const ids = mixed(n, 31 * r);
        if (n > 60) ids[n - 50] = 2; // a document ends
        return ids;
      });
      const decoder = new Decoder(model, { sequences: rows.length });
      // A prompt of its own length for each text, then single bytes.
      const prompts = rows.map((ids, r) => ids.subarray(0, Math.min(ids.length, 1 + 17 * r)));
      const found = decoder.feed(prompts, { all: true }).map((x) => [...x]);
      for (let i = 0; i < BYTES; i++) {
        const next = rows.map((ids, r) => ids.subarray(prompts[r].length + i, prompts[r].length + i + 1));
        decoder.feed(next).forEach((logits, r) => {
          for (const x of logits) found[r].push(x);
        });
      }
      const { logits } = predict(model, rows);
      rows.forEach((_, r) => {
        expect(distance(found[r], logits[r])).toBeLessThan(1e-5);
      });
      const lengthsOf = cut(model, rows).map(({ patchLengths }) => [...patchLengths.slice(0, -1)]);
      expect(rows.map((_, r) => decoder.patchLengths(r))).toEqual(lengthsOf);
      expect(decoder.globalSteps).toBe(sum(lengthsOf.map((l) => l.length)));
      expect(Math.max(...lengthsOf[0])).toBeGreaterThan(patching.mode === 'byte' ? 0 : 1);
      decoder.release();
    });
  },
);

test('the bits do not depend on the number of threads', () => {
  const [one, three] = [createWasmBackend(), createWasmBackend({ threads: 3, leastShared: 0 })].map((backend) => {
    const decoder = new Decoder(smallModel(mixedConfig(modes[0], 'facebook'), 7, backend));
    const ids = mixed(60, 5);
    const logits = [...ids].map((id, i) => decoder.feed([i === 30 ? ids.subarray(30, 36) : [id]])[0]);
    decoder.release();
    return logits;
  });
  expect(three).toEqual(one);
});

test('ids outside the vocabulary are refused, at every step alike', () => {
  const decoder = new Decoder(smallModel(mixedConfig(modes[0], 'facebook'), 7, wasm));
  for (let i = 0; i < 3; i++) {
    expect(() => decoder.feed([[VOCAB_SIZE]])).toThrow('decoding: id 260 at position 0 is outside 0..259');
    decoder.feed([[65 + i]]);
  }
  expect(decoder.length()).toBe(3);
  decoder.release();
});
