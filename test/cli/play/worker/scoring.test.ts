import { readFileSync } from 'node:fs';
import {
  type EntropyModelParams,
  encode,
  entropyModelPlan,
  initParameters,
  planRun,
  scoreEntropies,
} from '@blt-ts/blt';
import { createWasmBackend, Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type EntropyModel,
  entropyModelFromFile,
  entropyModelToFile,
} from '../../../../packages/cli/src/play/worker/entropy-file.ts';
import { commonEnd, commonStart, EntropyScorer } from '../../../../packages/cli/src/play/worker/scoring.ts';
import { runs } from '../../../support/runs.ts';

const backend = createWasmBackend();
const planned = planRun({ size: 'nano', entropyWidth: 16, entropyHeads: 2, entropyLayers: 2, window: 9 }, 1000).config;
const params = initParameters<EntropyModelParams>(
  entropyModelPlan(planned.patcher!, planned.vocabSize),
  new Random(3),
  { backend },
);

function model(window: number | null, positions = 8192): EntropyModel {
  const config = { ...planned.patcher!, maxPositionEmbeddings: positions };
  return { params, config, window, documents: true, threshold: 1, parameters: 0 };
}

const fully = ({ params, config, window }: EntropyModel, bytes: Uint8Array): Float32Array =>
  scoreEntropies(params, [encode(bytes, { bos: true, eos: false })], config, { window, documents: true, backend })[0];

/** Letters, so that edits make equal stretches by chance; long enough for the window's reach to end within them. */
const text = fc.array(fc.constantFrom(97, 98, 32), { maxLength: 120, size: 'max' }).map((b) => Uint8Array.from(b));

describe('scoring a text while it is edited', () => {
  for (const [name, one] of [
    ['a window', model(9)],
    ['no window', model(null)],
    ['chunks', model(9, 50)],
  ] as const) {
    test(`with ${name}, any row of edits leaves the entropies that scoring from scratch gives`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(), async (texts, at, cut) => {
          const scorer = new EntropyScorer(one);
          // Besides jumps to another text, an edit in the middle of the last one.
          const last = texts.at(-1)!;
          const from = last.length === 0 ? 0 : at % last.length;
          const edited = Uint8Array.from([...last.subarray(0, from), 97, ...last.subarray(from + (cut % 3))]);
          for (const bytes of [...texts, edited, last]) {
            const { entropies } = await scorer.score(bytes);
            const expected = fully(one, bytes);
            expect(entropies).toHaveLength(bytes.length);
            for (let i = 0; i < bytes.length; i++) expect(Math.abs(entropies[i] - expected[i])).toBeLessThan(2e-5);
          }
        }),
        { numRuns: runs(25) },
      );
    });
  }

  test('an edit costs the reach of the window twice, not the text', async () => {
    const scorer = new EntropyScorer(model(9));
    const bytes = new Uint8Array(2000).fill(97).map((_, i) => 97 + ((i * 7) % 13));
    expect((await scorer.score(bytes)).rescored).toBe(2001);
    expect((await scorer.score(bytes)).rescored).toBe(0);
    const reach = 2 * (9 - 1);
    const inserted = Uint8Array.from([...bytes.subarray(0, 1000), 33, ...bytes.subarray(1000)]);
    expect((await scorer.score(inserted)).rescored).toBe(2 * reach + 1);
    expect((await scorer.score(inserted.subarray(0, 1999))).rescored).toBe(0);
  });

  test('common starts and ends never overlap', () => {
    fc.assert(
      fc.property(text, text, (x, y) => {
        const [a, b] = [Int32Array.from(x), Int32Array.from(y)];
        const start = commonStart(a, b);
        const end = commonEnd(a, b, start);
        expect(start + end).toBeLessThanOrEqual(Math.min(a.length, b.length));
        expect(a.subarray(0, start)).toEqual(b.subarray(0, start));
        expect(a.subarray(a.length - end)).toEqual(b.subarray(b.length - end));
      }),
      { numRuns: runs(100) },
    );
  });
});

describe('the file of an entropy model', () => {
  test('read again, it gives the same entropies to the bit', async () => {
    const config = { ...planned, patching: { mode: 'entropy' as const, threshold: 1.25 } };
    const read = entropyModelFromFile(entropyModelToFile(params, config), backend);
    expect([read.threshold, read.window, read.documents]).toEqual([1.25, 9, true]);
    const bytes = new TextEncoder().encode('It was the best of times');
    expect(fully(read, bytes)).toEqual(fully(model(9), bytes));
  });

  test('another safetensors file is refused', () => {
    const other = entropyModelToFile(params, planned);
    const text = new TextDecoder('latin1').decode(other).replace('blt entropy model', 'something other!!');
    expect(() =>
      entropyModelFromFile(
        Uint8Array.from(text, (c) => c.charCodeAt(0)),
        backend,
      ),
    ).toThrow('no entropy model');
  });

  test('the shipped one cuts English into patches of about 4.5 bytes at its own threshold', async () => {
    const url = new URL('../../../../packages/cli/src/play/assets/entropy-model.safetensors', import.meta.url);
    const shipped = entropyModelFromFile(new Uint8Array(readFileSync(url)), backend);
    expect(shipped.parameters).toBe(86_720);
    const bytes = new TextEncoder().encode(
      'Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the world.',
    );
    const { entropies } = await new EntropyScorer(shipped).score(bytes);
    const patches = 1 + entropies.slice(1).filter((nats) => nats > shipped.threshold).length;
    expect(bytes.length / patches).toBeGreaterThan(3.5);
    expect(bytes.length / patches).toBeLessThan(5.5);
  });
});
