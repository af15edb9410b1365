import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { patchLengths } from '../../../packages/blt/src/patching/boundaries.ts';
import { calibrateThreshold, meanPatchSize } from '../../../packages/blt/src/patching/calibrate.ts';
import { runs } from '../../support/runs.ts';

/** A corpus; with few levels most entropies are ties. */
const corpus = (levels: number) =>
  fc
    .array(fc.array(fc.integer({ min: 0, max: levels }), { maxLength: 30 }), { minLength: 1, maxLength: 5 })
    .map((documents) => documents.map((H) => Float32Array.from(H, (h) => (h * 5.5) / levels)))
    .filter((documents) => documents.some((H) => H.length >= 4));
const anyCorpus = fc.oneof(corpus(3), corpus(4096));
const target = fc.integer({ min: 8, max: 100 }).map((t) => t / 8);

const mean = (documents: Float32Array[], threshold: number, monotonic: boolean, thresholdAdd?: number): number =>
  meanPatchSize(
    documents.map((H) => {
      const options = { mode: 'entropy', threshold, monotonic, thresholdAdd } as const;
      return patchLengths(new Int32Array(H.length).fill(70), H, options, { includeNextToken: false });
    }),
  );

describe.each([false, true])('monotonic %s', (monotonic) => {
  test('the reported mean is what patching with the threshold gives', () => {
    fc.assert(
      fc.property(anyCorpus, target, (documents, t) => {
        const found = calibrateThreshold(documents, t, { monotonic });
        expect(mean(documents, found.threshold, monotonic)).toBe(found.meanPatchBytes);
        expect(found.bytes / found.patches).toBe(found.meanPatchBytes);
        expect(Math.fround(found.threshold)).toBe(found.threshold);
      }),
      { numRuns: runs(100) },
    );
  });

  test('no other threshold comes nearer to the target', () => {
    fc.assert(
      fc.property(anyCorpus, target, (documents, t) => {
        const found = calibrateThreshold(documents, t, { monotonic });
        // Between two neighbouring scores all thresholds cut alike, so the scores themselves and one below are all there is.
        const scores = documents.flatMap((H) => [...H].flatMap((h, i) => (i ? [h, Math.fround(h - H[i - 1])] : [h])));
        for (const threshold of [-9, ...scores]) {
          const distance = Math.abs(mean(documents, threshold, monotonic) - t);
          expect(Math.abs(found.meanPatchBytes - t)).toBeLessThanOrEqual(distance);
        }
      }),
      { numRuns: runs(60) },
    );
  });

  test('a higher threshold never means fewer bytes per patch, nor does a higher target', () => {
    fc.assert(
      fc.property(anyCorpus, target, target, (documents, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        expect(mean(documents, low, monotonic)).toBeLessThanOrEqual(mean(documents, high, monotonic));
        const forLow = calibrateThreshold(documents, low, { monotonic });
        const forHigh = calibrateThreshold(documents, high, { monotonic });
        expect(forLow.meanPatchBytes).toBeLessThanOrEqual(forHigh.meanPatchBytes);
        expect(forLow.threshold).toBeLessThanOrEqual(forHigh.threshold);
      }),
      { numRuns: runs(100) },
    );
  });
});

test('with a least rise the mean is what patching gives, and no other threshold comes nearer', () => {
  fc.assert(
    fc.property(anyCorpus, target, fc.integer({ min: -8, max: 8 }), (documents, t, eighths) => {
      const thresholdAdd = eighths / 8;
      const decided = documents.some((H) =>
        H.some((h, i) => i >= 3 && i < H.length - 1 && h - H[i - 1] > thresholdAdd),
      );
      if (!decided) {
        expect(() => calibrateThreshold(documents, t, { thresholdAdd })).toThrow(/thresholdAdd of|at least 5 bytes/);
        return;
      }
      const found = calibrateThreshold(documents, t, { thresholdAdd });
      expect(mean(documents, found.threshold, false, thresholdAdd)).toBe(found.meanPatchBytes);
      for (const threshold of [-9, ...documents.flatMap((H) => [...H])]) {
        const distance = Math.abs(mean(documents, threshold, false, thresholdAdd) - t);
        expect(Math.abs(found.meanPatchBytes - t)).toBeLessThanOrEqual(distance);
      }
    }),
    { numRuns: runs(100) },
  );
});

test('without ties the mean comes within one patch of the target', () => {
  const documents = [0, 1, 2].map((d) =>
    Float32Array.from({ length: 1000 }, (_, i) => (((i * 3 + d) * 997) % 3001) / 600),
  );
  for (const t of [1.5, 3, 4.5, 8]) {
    const { patches, bytes } = calibrateThreshold(documents, t);
    expect(Math.abs(patches - bytes / t)).toBeLessThanOrEqual(1);
  }
});

test('a threshold lies between the two scores it separates', () => {
  const H = Float32Array.of(9, 1, 2, 3, 9);
  expect(calibrateThreshold([H], 5 / 3)).toEqual({ threshold: 2.5, meanPatchBytes: 5 / 3, bytes: 5, patches: 3 });
});

test('a corpus with nothing to decide, a target below 1 and entropies that are no numbers are refused', () => {
  const H = Float32Array.of(1, 2, 3, 4);
  expect(() => calibrateThreshold([Float32Array.of(1, 2)], 4)).toThrow('at least 3 bytes');
  expect(() => calibrateThreshold([], 4, { monotonic: true })).toThrow('at least 4 bytes');
  expect(() => calibrateThreshold([H], 0.5)).toThrow('at least 1 byte per patch, got 0.5');
  expect(() => calibrateThreshold([H, Float32Array.of(1, Number.NaN, 1)], 4)).toThrow('entropy 1 of document 1');
  expect(() => meanPatchSize([])).toThrow('no patches');
});
