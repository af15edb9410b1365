import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatenated, type Document } from '../../../packages/cli/src/data/document.ts';
import { loadDocuments } from '../../../packages/cli/src/data/sources.ts';
import { dataHash, leakedDocuments, splitHeldOut } from '../../../packages/cli/src/data/split.ts';
import { runs } from '../../support/runs.ts';

const documents = fc
  .array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 })
  .map((list) => list.map((bytes, i): Document => ({ name: `d${i}`, bytes })));
const fraction = fc.integer({ min: 0, max: 1023 }).map((i) => i / 1024);
const numRuns = runs(200);

test('training and held-out part are the corpus, cut once', () => {
  fc.assert(
    fc.property(documents, fraction, (docs, share) => {
      const { train, heldOut } = splitHeldOut(docs, share);
      expect([...concatenated(train), ...concatenated(heldOut)]).toEqual([...concatenated(docs)]);
      expect(train.length + heldOut.length).toBeLessThanOrEqual(docs.length + 1);
    }),
    { numRuns },
  );
});

test('the held-out part is the fraction to the byte, and neither part is empty', () => {
  fc.assert(
    fc.property(documents, fraction, (docs, share) => {
      const total = concatenated(docs).length;
      const held = concatenated(splitHeldOut(docs, share).heldOut).length;
      if (share === 0 || total < 2) expect(held).toBe(0);
      else {
        expect(held).toBeGreaterThanOrEqual(1);
        expect(held).toBeLessThan(total);
        expect(Math.abs(held - share * total)).toBeLessThanOrEqual(1);
      }
    }),
    { numRuns },
  );
});

test('the last tenth of Moby Dick is held out at byte 1,073,475, inside a chapter', async () => {
  const { train, heldOut } = splitHeldOut(await loadDocuments([]));
  expect(concatenated(train)).toHaveLength(1_073_475);
  expect(concatenated(heldOut)).toHaveLength(119_275);
  expect(train.at(-1)!.name).toMatch(/^Moby Dick, CHAPTER (\d+)\..* \(first \d+ bytes\)$/);
  expect(heldOut[0].name).toMatch(/ \(from byte \d+\)$/);
  expect(heldOut.at(-1)!.name).toMatch(/CHAPTER 135/);
});

test('a fraction outside 0 <= f < 1 is refused', () => {
  for (const bad of [-0.1, 1, Number.NaN]) expect(() => splitHeldOut([], bad)).toThrow(/at least 0 and less than 1/);
});

test('the hash is that of lengths and bytes, knows where documents end, and does not know names', () => {
  const doc = (name: string, ...bytes: number[]): Document => ({ name, bytes: Uint8Array.from(bytes) });
  const expected = createHash('sha256')
    .update(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 7, 8))
    .digest('hex');
  expect(dataHash([doc('a', 7, 8)])).toBe(expected);
  expect(dataHash([doc('b', 7, 8)])).toBe(expected);
  expect(dataHash([doc('a', 7), doc('a', 8)])).not.toBe(expected);
  fc.assert(
    fc.property(documents, documents, (a, b) => {
      const same = JSON.stringify(a.map((d) => [...d.bytes])) === JSON.stringify(b.map((d) => [...d.bytes]));
      expect(dataHash(a) === dataHash(b)).toBe(same);
    }),
    { numRuns: runs(50) },
  );
});

test('held-out documents that are also trained on are named', () => {
  fc.assert(
    fc.property(documents, documents, (train, heldOut) => {
      const known = new Set(train.map(({ bytes }) => bytes.join()));
      const expected = heldOut.filter(({ bytes }) => known.has(bytes.join())).map(({ name }) => name);
      expect(leakedDocuments({ train, heldOut })).toEqual(expected);
    }),
    { numRuns: runs(50) },
  );
});
