/** @file Continuous batching: a text is the same whoever comes and goes beside it. */
import { type BatchText, type Checkpoint, ContinuousBatch, generate, type TextOptions } from '@blt-ts/blt';
import { createReferenceBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../../support/runs.ts';
import { configs, row, seeds, smallModel } from '../../support/small-model.ts';

const exact = createReferenceBackend({ precision: 'f64' });
const CONTEXT = 20;

const request = fc.record({
  prompt: row(1, 12).map((ids) => Uint8Array.from([...ids].filter((id) => id >= 4).map((id) => id - 4))),
  seed: seeds,
  temperature: fc.constantFrom(0, 0.8),
  maxBytes: fc.integer({ min: 0, max: 14 }),
  ignoreEos: fc.boolean(),
  /** Rounds that have gone by when it comes. */
  arrival: fc.integer({ min: 0, max: 8 }),
  /** Bytes after which its reader goes away. */
  patience: fc.option(fc.integer({ min: 1, max: 5 }), { freq: 4 }),
});

test('texts that come and go are those of generate, cut where their reader went away', () => {
  fc.assert(
    fc.property(
      fc.record({
        config: configs,
        seed: seeds,
        requests: fc.array(request, { minLength: 1, maxLength: 5 }),
        places: fc.integer({ min: 1, max: 3 }),
        promptBytes: fc.integer({ min: 1, max: 8 }),
      }),
      ({ config, seed, requests, places, promptBytes }) => {
        const checkpoint = smallModel(config, seed, exact) as Checkpoint;
        const options = (r: (typeof requests)[number]): TextOptions & { maxBytes: number } => r;
        const batch = new ContinuousBatch(checkpoint, { places, contextBytes: CONTEXT, promptBytes });
        const made: number[][] = requests.map(() => []);
        const ids = new Map<BatchText, number>();
        const waiting = requests.map((_, i) => i).sort((a, b) => requests[a].arrival - requests[b].arrival || a - b);
        for (let round = 0; waiting.length > 0 || batch.size > 0; round++) {
          while (waiting.length > 0 && requests[waiting[0]].arrival <= round && batch.free > 0) {
            const i = waiting.shift()!;
            ids.set(batch.add(requests[i].prompt, options(requests[i])), i);
          }
          for (const { text, byte } of batch.round()) {
            const i = ids.get(text)!;
            if (byte !== null) made[i].push(byte);
            if (made[i].length === requests[i].patience) batch.remove(text);
          }
        }
        expect(batch.free).toBe(places);
        batch.release();
        requests.forEach((r, i) => {
          const alone = [...generate(checkpoint, r.prompt, { ...options(r), contextBytes: CONTEXT })];
          expect(made[i]).toEqual(r.patience === null ? alone : alone.slice(0, r.patience));
        });
      },
    ),
    { numRuns: runs(12) },
  );
});

test('what cannot be is refused', () => {
  const [config] = fc.sample(configs, { seed: 1, numRuns: 1 });
  const checkpoint = smallModel(config, 1, exact) as Checkpoint;
  const make = (options: { places: number; promptBytes?: number }) => new ContinuousBatch(checkpoint, options);
  expect(() => make({ places: 0 })).toThrow('places must be a whole number >= 1, got 0');
  expect(() => make({ places: 1, promptBytes: 0.5 })).toThrow('promptBytes must be a whole number >= 1, got 0.5');
  const batch = make({ places: 1 });
  expect(batch.add('a', { maxBytes: 0 }).ended).toBe(true);
  batch.add('a', { maxBytes: 5 });
  expect(() => batch.add('b', { maxBytes: 5 })).toThrow('all 1 places are taken');
  expect(() => batch.add('b', { maxBytes: -1 })).toThrow('maxBytes');
  batch.release();
});
