import { bltBatch, encode, hashNgrams, planRun, Session } from '@blt-ts/blt';
import { createWasmBackend, Random } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LeaveOneOut, longestShown, NgramCounts } from '../../../packages/blt/src/training/leave-one-out.ts';
import { packedRows } from '../../../packages/blt/src/training/packing.ts';
import { advance, corpus, reborn, remains, tinyPlan } from '../../support/tiny-run.ts';

const SIZES = [2, 3, 5];
const documents = fc.array(
  fc.array(fc.integer({ min: 4, max: 7 }), { maxLength: 60 }).map((ids) => Int32Array.from(ids)),
  { minLength: 1, maxLength: 4 },
);

/** The n-gram that ends with id i, as a text. */
const ngram = (ids: Int32Array, i: number, size: number) => ids.subarray(i - size + 1, i + 1).join();

test('an n-gram is counted as often as the documents have it', () => {
  fc.assert(
    fc.property(documents, (texts) => {
      const counts = new NgramCounts(texts, SIZES);
      for (const size of SIZES) {
        const exact = new Map<string, number>();
        for (const ids of texts) {
          for (let i = size - 1; i < ids.length; i++) {
            const key = ngram(ids, i, size);
            exact.set(key, (exact.get(key) ?? 0) + 1);
          }
        }
        for (const ids of texts) {
          for (let i = 0; i < ids.length; i++) {
            const found = counts.of(ids, i, size);
            // Two that fall together seem more frequent, and never less.
            if (i < size - 1) expect(found).toBe(255);
            else expect(found).toBeGreaterThanOrEqual(Math.min(255, exact.get(ngram(ids, i, size))!));
          }
        }
      }
    }),
  );
  const ids = Int32Array.from([5, 6, 5, 6, 5, 7]);
  const counts = new NgramCounts([ids], SIZES);
  expect([1, 2, 5].map((i) => counts.of(ids, i, 2))).toEqual([2, 2, 1]);
});

test('an n-gram that is nowhere else is never shown, and one that is there n times is hidden in one of n rows', () => {
  fc.assert(
    fc.property(documents, fc.nat(1e6), (texts, seed) => {
      const counts = new NgramCounts(texts, SIZES);
      for (const ids of texts) {
        longestShown(ids, counts, SIZES, seed).forEach((longest, i) => {
          expect([0, ...SIZES]).toContain(longest);
          for (const size of SIZES) if (counts.of(ids, i, size) === 1) expect(longest).toBeLessThan(size);
        });
      }
    }),
  );
  // The pair 4 5 is there four times, and its longer n-grams once each.
  const ids = Int32Array.from([9, 4, 5, 10, 4, 5, 11, 4, 5, 12, 4, 5]);
  const counts = new NgramCounts([ids], [2]);
  const seeds = Array.from({ length: 4000 }, (_, seed) => seed);
  const hidden = (rate?: number) =>
    seeds.filter((seed) => longestShown(ids, counts, [2], seed, rate)[5] === 0).length / seeds.length;
  // The standard error is 0.008 at most.
  expect(Math.abs(hidden() - 1 / 4)).toBeLessThan(0.03);
  expect(Math.abs(hidden(2) - 2 / 4)).toBeLessThan(0.03);
  expect([4, 5].map(hidden)).toEqual([1, 1]);
});

test('hidden n-grams have rows of their tables drawn at random, and the others have the row they always have', () => {
  const { config } = planRun({ hashSizes: [2, 3, 5], hashFunctions: 2, hashVocab: 64, patchingMode: 'byte' }, 1000);
  const ids = encode('a whale, a whale', { bos: true, eos: true });
  const [row] = [packedRows([{ ids, patchLengths: new Int32Array(ids.length).fill(1) }], { patchesPerRow: 64 }).at(0)];
  const longestShown = Uint16Array.from(row.ids, (_, i) => [0, 2, 3, 5][i % 4]);
  const backend = createWasmBackend();
  const all = hashNgrams(row.ids, config.hash);
  const isHidden = (at: number) => SIZES[at % 3] > longestShown[Math.floor(at / 6)];
  /** How often each row of its own table, 0 to 63, stands for a hidden n-gram, over many seeds. */
  const drawn = new Array<number>(64).fill(0);
  for (let seed = 0; seed < 400; seed++) {
    const found = bltBatch([{ ...row, hiddenNgrams: { longestShown, seed } }], config, { backend }).hashIds!;
    found.forEach((id, at) => {
      expect(Math.floor(id / 64)).toBe(at % 6);
      if (isHidden(at)) drawn[id % 64]++;
      else expect(id).toBe(all[at]);
    });
  }
  const mean = drawn.reduce((a, b) => a + b) / 64;
  expect(mean).toBeGreaterThan(200);
  // Six standard deviations of a count.
  for (const count of drawn) expect(Math.abs(count - mean)).toBeLessThan(6 * Math.sqrt(mean));
});

test('the rows of a pass are the same however often they are asked for', () => {
  const hiding = new LeaveOneOut(corpus.train, [5, 2, 3, 3]);
  const patched = corpus.train.map((ids) => ({ ids, patchLengths: new Int32Array(ids.length).fill(1) }));
  const rows = packedRows(patched, { patchesPerRow: 16 });
  const [one, other] = [hiding.rows(rows, new Random(1)), hiding.rows(rows, new Random(1))];
  expect(one.length).toBe(rows.length);
  for (const i of [3, 0, 3]) expect(one.at(i)).toEqual(other.at(i));
  expect(hiding.rows(rows, new Random(2)).at(3).hiddenNgrams).not.toEqual(one.at(3).hiddenNgrams);
});

test('the first pass has the bits of a run without it, and a run that is resumed in the second one goes on to the same bits', async () => {
  const backend = createWasmBackend();
  const chosen = { patchingMode: 'space', evalEvery: 0, dropout: 0, hashDropout: 0, weightDecay: 0.1 } as const;
  // Two rows of 24 bytes a step: a pass over the 280 bytes is of about six steps.
  const run = (leaveOneOut: boolean) => new Session(tinyPlan({ ...chosen, steps: 20, leaveOneOut }), corpus, backend);
  const losses = async (session: Session) =>
    (await advance(session, Number.POSITIVE_INFINITY)).flatMap((text) => {
      const event = JSON.parse(text);
      return event.kind === 'step' ? [event.report.lossNats] : [];
    });
  const [plain, hidden] = [await losses(run(false)), await losses(run(true))];
  expect(hidden.slice(0, 4)).toEqual(plain.slice(0, 4));
  expect(hidden.slice(10)).not.toEqual(plain.slice(10));

  const whole = run(true);
  await advance(whole, Number.POSITIVE_INFINITY);
  let parts = run(true);
  await advance(parts, 12);
  parts = await reborn(parts, backend);
  await advance(parts, Number.POSITIVE_INFINITY);
  expect((await remains(parts)).json).toBe((await remains(whole)).json);
});
