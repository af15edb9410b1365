import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { totalBytes } from '../../../packages/cli/src/data/document.ts';
import { PIECE_BYTES, sampleDocuments } from '../../../packages/cli/src/data/sample.ts';
import { runs } from '../../support/runs.ts';

/** Documents whose bytes say where they came from: byte i of document d is (i + d) mod 251. */
const corpus = fc
  .array(fc.integer({ min: 0, max: 4 * PIECE_BYTES }), { minLength: 1, maxLength: 5 })
  .map((lengths) =>
    lengths.map((length, d) => ({ name: `${d}`, bytes: Uint8Array.from({ length }, (_, i) => (i + d) % 128) })),
  );

describe('a sample of a corpus', () => {
  test('holds at least the bytes asked for, one piece more at most, each byte once, in order', () => {
    fc.assert(
      fc.property(corpus, fc.integer({ min: 1, max: 8 * PIECE_BYTES }), fc.nat(100), (documents, bytes, seed) => {
        const sample = sampleDocuments(documents, bytes, seed);
        const total = totalBytes(documents);
        const held = totalBytes(sample);
        expect(held).toBeGreaterThanOrEqual(Math.min(bytes, total));
        expect(held).toBeLessThanOrEqual(Math.max(Math.min(total, bytes), Math.min(total, bytes + PIECE_BYTES)));
        expect(sampleDocuments(documents, bytes, seed)).toEqual(sample);
        // Views of the documents, in order, that do not overlap.
        let last = { document: -1, end: 0 };
        for (const { name, bytes: part } of sample) {
          const document = Number(name.split(' ')[0]);
          const begin = part.byteOffset - documents[document].bytes.byteOffset;
          expect(part.buffer).toBe(documents[document].bytes.buffer);
          if (document === last.document) expect(begin).toBeGreaterThan(last.end);
          else expect(document).toBeGreaterThan(last.document);
          last = { document, end: begin + part.length };
        }
      }),
      { numRuns: runs(10) },
    );
  });

  test('comes from all over a long document', () => {
    const documents = [{ name: 'book', bytes: new Uint8Array(100 * PIECE_BYTES) }];
    const sample = sampleDocuments(documents, 10 * PIECE_BYTES, 0);
    const places = sample.map(({ bytes }) => bytes.byteOffset / documents[0].bytes.length);
    expect(places.some((at) => at < 0.3)).toBe(true);
    expect(places.some((at) => at > 0.7)).toBe(true);
    expect(sampleDocuments(documents, 10 * PIECE_BYTES, 1)).not.toEqual(sample);
  });

  test('divides no character of a UTF-8 text', () => {
    const documents = [{ name: 'han', bytes: Buffer.from('鯨'.repeat(4 * PIECE_BYTES)) }];
    for (const { bytes } of sampleDocuments(documents, 3 * PIECE_BYTES, 2)) {
      expect(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes)).not.toThrow();
    }
  });

  test('of a corpus that is no larger is the corpus', () => {
    const documents = [{ name: 'a', bytes: Uint8Array.of(1, 2, 3) }];
    expect(sampleDocuments(documents, 3, 0)).toEqual(documents);
  });
});
