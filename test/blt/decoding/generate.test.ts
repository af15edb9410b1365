import {
  type Checkpoint,
  type GenerateCounts,
  type GenerateOptions,
  generate,
  generateBatch,
  nextByteLogits,
} from '@blt-ts/blt';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copyDraft } from '../../../packages/blt/src/decoding/speculate.ts';
import { fixture } from '../../support/fixture.ts';
import { type GoldenModel, loadGolden } from '../../support/golden-model.ts';
import { runs } from '../../support/runs.ts';
import { configs, row, seeds, smallModel } from '../../support/small-model.ts';

const wasm = createWasmBackend();
const exact = createReferenceBackend({ precision: 'f64' });

interface Continuation {
  model: GoldenModel;
  prompt: string;
  threshold: number;
  prompt_ids: number[];
  greedy_ids: number[];
}
const golden = fixture<Continuation[]>('generation.json').map((c) => ({
  ...c,
  checkpoint: loadGolden(c.model, wasm, { patching: { mode: 'entropy', threshold: c.threshold } }) as Checkpoint,
  /** Bytes made, up to the first special id. */
  bytes: c.greedy_ids.slice(c.prompt_ids.length).map((id) => id - 4),
}));

const greedy = { temperature: 0, ignoreEos: true } as const;

describe.each(golden)('$model, "$prompt"', ({ checkpoint, prompt, bytes }) => {
  test('generate continues as the reference does', () => {
    expect(bytes.every((b) => b >= 0)).toBe(true);
    expect([...generate(checkpoint, prompt, { maxBytes: bytes.length, ...greedy })]).toEqual(bytes);
  });

  test.each([2, 3, 8, 16])('with drafts of %i bytes too', (draftBytes) => {
    expect([...generate(checkpoint, prompt, { maxBytes: bytes.length, ...greedy, draftBytes })]).toEqual(bytes);
  });

  test('for await works', async () => {
    const made: number[] = [];
    for await (const byte of generate(checkpoint, prompt, { maxBytes: 4, ...greedy })) made.push(byte);
    expect(made).toEqual(bytes.slice(0, 4));
  });

  test('it ends after `stop`', () => {
    const stop = Uint8Array.from(bytes.slice(3, 5));
    expect([...generate(checkpoint, prompt, { maxBytes: 99, ...greedy, stop })]).toEqual(bytes.slice(0, 5));
  });
});

test('prompts of different lengths side by side continue as each does alone', () => {
  const texts = golden.filter((g) => g.model === 'tiny_A_1b_like');
  const made: number[][] = texts.map(() => []);
  const { checkpoint } = texts[0];
  for (const { sequence, byte } of generateBatch(
    checkpoint,
    texts.map((g) => g.prompt),
    { maxBytes: 16, ...greedy },
  )) {
    made[sequence].push(byte);
  }
  expect(made).toEqual(texts.map((g) => g.bytes.slice(0, 16)));
});

const cases = fc.record({
  config: configs,
  seed: seeds,
  // Repeated, it has something to copy drafts from.
  prompt: fc.tuple(row(1, 8), fc.integer({ min: 1, max: 4 })).map(([ids, times]) => {
    const bytes = [...ids].filter((id) => id >= 4).map((id) => id - 4);
    return Uint8Array.from(Array.from({ length: times }, () => bytes).flat());
  }),
  temperature: fc.constantFrom(0, 0.8),
  draftBytes: fc.integer({ min: 2, max: 9 }),
  contextBytes: fc.constantFrom(20, 64),
  ignoreEos: fc.boolean(),
});

const collect = (checkpoint: Checkpoint, prompt: Uint8Array, options: Omit<GenerateOptions, 'maxBytes'>) => {
  let counts: GenerateCounts | null = null;
  const bytes = [...generate(checkpoint, prompt, { maxBytes: 24, ...options, onDone: (c) => (counts = c) })];
  return { bytes, counts: counts! as GenerateCounts };
};

test('drafting ahead never changes the text, greedy or sampled', () => {
  fc.assert(
    fc.property(cases, ({ config, seed, prompt, draftBytes, ...options }) => {
      const model = smallModel(config, seed, exact);
      const plain = collect(model, prompt, options);
      const drafted = collect(model, prompt, { ...options, draftBytes });
      expect(drafted.bytes).toEqual(plain.bytes);
      expect(drafted.counts.bytes).toBe(plain.bytes.length);
    }),
    { numRuns: runs(30) },
  );
});

test('a copied draft is what followed the same eight ids before, its period going on', () => {
  const text = fc.array(fc.integer({ min: 4, max: 5 }), { minLength: 0, maxLength: 60 });
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 20 }), (ids, count) => {
      const copy = copyDraft(ids, count);
      const last = ids.slice(-8).join();
      const ends = ids.flatMap((_, end) => (end >= 8 && ids.slice(end - 8, end).join() === last ? [end] : []));
      if (ids.length < 9 || ends.length === 0) {
        expect(copy).toEqual([]);
        return;
      }
      const whole = [...ids];
      const end = ends.at(-1)!;
      for (let i = 0; i < count; i++) whole.push(whole[end + i]);
      expect(copy).toEqual(whole.slice(ids.length));
    }),
    { numRuns: runs(200) },
  );
});

test('greedy bytes are those of the full forward pass', () => {
  fc.assert(
    fc.property(cases, ({ config, seed, prompt }) => {
      const model = smallModel(config, seed, exact);
      const { bytes } = collect(model, prompt, { ...greedy, contextBytes: 64 });
      const ids = [1, ...[...prompt].map((b) => b + 4)];
      for (const byte of bytes) {
        const logits = nextByteLogits(model, Int32Array.from(ids));
        logits.fill(Number.NEGATIVE_INFINITY, 0, 4);
        expect(logits.indexOf(Math.max(...logits)) - 4).toBe(byte);
        ids.push(byte + 4);
      }
    }),
    { numRuns: runs(20) },
  );
});

test.each([
  [{ maxBytes: -1 }, 'maxBytes must be a whole number >= 0, got -1'],
  [{ maxBytes: 1, contextBytes: 1 }, 'contextBytes must be a whole number >= 2, got 1'],
  [{ maxBytes: 1, contextBytes: 65 }, 'contextBytes 65 is more than the 64 positions the model has'],
  [{ maxBytes: 1, draftBytes: 1.5 }, 'draftBytes must be a whole number >= 0 below half of contextBytes 64, got 1.5'],
])('%j is refused', (options, message) => {
  expect(() => generate(golden[0].checkpoint, '', options).next()).toThrow(message);
});
