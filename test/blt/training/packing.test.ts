import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildLayout } from '../../../packages/blt/src/model/layout.ts';
import { type PatchedDocument, packPatches } from '../../../packages/blt/src/training/packing.ts';
import { runs } from '../../support/runs.ts';

/** Documents whose tokens are all different, so that a token names its place in the stream. */
const documents: fc.Arbitrary<PatchedDocument[]> = fc
  .array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 })
  .map((all) => {
    let next = 1000;
    return all.map((lengths) => ({
      ids: Int32Array.from({ length: lengths.reduce((a, b) => a + b) }, () => next++),
      patchLengths: Int32Array.from(lengths),
    }));
  });
const options = fc.record({
  patchesPerRow: fc.integer({ min: 2, max: 8 }),
  maxBytes: fc.option(fc.integer({ min: 1, max: 12 })),
});
const flat = (arrays: Int32Array[]): number[] => arrays.flatMap((a) => [...a]);
const startsOf = (lengths: Int32Array, first: number): number[] => {
  let end = first;
  return [...lengths].map((length) => (end += length) - length);
};

describe('packPatches', () => {
  test('every token but the first is a target exactly once, in order, right after its input', () => {
    fc.assert(
      fc.property(documents, options, (docs, o) => {
        const rows = packPatches(docs, o);
        expect(flat(rows.map((r) => r.targets))).toEqual(flat(docs.map((d) => d.ids)).slice(1));
        for (const { ids, targets } of rows) expect([...targets]).toEqual([...ids].map((id) => id + 1));
      }),
      { numRuns: runs(150) },
    );
  });
  test('rows hold patchesPerRow patches unless they are the last or reached maxBytes, and never more than maxBytes ids', () => {
    fc.assert(
      fc.property(documents, options, (docs, o) => {
        const rows = packPatches(docs, o);
        rows.forEach(({ ids, patchLengths }, r) => {
          expect(patchLengths.length).toBeLessThanOrEqual(o.patchesPerRow);
          expect(ids.length).toBeLessThanOrEqual(o.maxBytes ?? Number.POSITIVE_INFINITY);
          const full = patchLengths.length === o.patchesPerRow || ids.length === o.maxBytes;
          expect(full || r === rows.length - 1).toBe(true);
        });
        const kept = packPatches(docs, { ...o, maxBytes: null, dropLast: true });
        expect(kept.every((row) => row.patchLengths.length === o.patchesPerRow)).toBe(true);
      }),
      { numRuns: runs(150) },
    );
  });
  test('rows keep the boundaries of the documents and add one only after their own first token', () => {
    fc.assert(
      fc.property(documents, options, (docs, o) => {
        const boundaries = new Set(docs.flatMap((d) => startsOf(d.patchLengths, d.ids[0])));
        for (const { ids, targets, patchLengths } of packPatches(docs, o)) {
          const last = targets[targets.length - 1];
          const expected = [...ids, last].filter((id, i) => i <= 1 || boundaries.has(id));
          expect(startsOf(patchLengths, ids[0])).toEqual(expected);
        }
      }),
      { numRuns: runs(150) },
    );
  });
  test('rows are what buildLayout takes', () => {
    fc.assert(
      fc.property(documents, options, (docs, o) => {
        const rows = packPatches(docs, o);
        fc.pre(rows.length > 0);
        const layout = buildLayout(rows, { k: 2, window: 4, documents: true });
        expect(layout.bytes).toBe(flat(docs.map((d) => d.ids)).length - 1);
      }),
      { numRuns: runs(50) },
    );
  });
  test('a worked example: the split of a first patch counts as a patch', () => {
    const rows = packPatches(
      [
        { ids: Int32Array.of(1, 70, 71, 72, 73, 2), patchLengths: Int32Array.of(1, 3, 2) },
        { ids: Int32Array.of(1, 80, 81), patchLengths: Int32Array.of(1, 2) },
      ],
      { patchesPerRow: 3, maxBytes: 4 },
    );
    expect(rows.map((r) => [[...r.ids], [...r.patchLengths]])).toEqual([
      [
        [1, 70, 71, 72],
        [1, 3, 1],
      ],
      [
        [73, 2],
        [1, 1, 1],
      ],
      [
        [1, 80],
        [1, 2],
      ],
    ]);
  });
  test('bad options and documents are refused', () => {
    const doc = { ids: Int32Array.of(1, 70), patchLengths: Int32Array.of(1, 2) };
    expect(() => packPatches([doc], { patchesPerRow: 4 })).toThrow('sum to 3 but it has 2 ids');
    expect(() => packPatches([], { patchesPerRow: 1 })).toThrow('patchesPerRow must be an integer >= 2, got 1');
    expect(() => packPatches([], { patchesPerRow: 2, maxBytes: 0 })).toThrow('maxBytes must be an integer >= 1');
    expect(packPatches([], { patchesPerRow: 2 })).toEqual([]);
  });
});
