import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatenated, type Document, totalBytes } from '../../../packages/cli/src/data/document.ts';
import { loadDocuments } from '../../../packages/cli/src/data/sources.ts';
import {
  dataHash,
  type Part,
  SPLIT_CHOICES,
  type Split,
  splitCorpus,
  splitHash,
  splitHeldOut,
} from '../../../packages/cli/src/data/split.ts';
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
  const book = await loadDocuments([]);
  const split = splitHeldOut(book);
  const { train, heldOut } = split;
  expect(concatenated(train)).toHaveLength(1_073_475);
  expect(concatenated(heldOut)).toHaveLength(119_275);
  expect(train.at(-1)!.name).toMatch(/^Moby Dick, CHAPTER (\d+)\..* \(first \d+ bytes\)$/);
  expect(heldOut[0].name).toMatch(/ \(from byte \d+\)$/);
  expect(heldOut.at(-1)!.name).toMatch(/CHAPTER 135/);
  // No UTF-8 character is at the cut, so that the end of the data is the same today.
  expect(splitHash(splitCorpus(book, 'end'))).toBe(splitHash(split));
});

test('a fraction outside 0 <= f < 1 is refused', () => {
  for (const bad of [-0.1, 1, Number.NaN]) {
    expect(() => splitHeldOut([], bad)).toThrow(/at least 0 and less than 1/);
    for (const choice of SPLIT_CHOICES) {
      expect(() => splitCorpus([], choice, { fraction: bad })).toThrow(/at least 0 and less than 1/);
    }
  }
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

// ----- a held-out part that samples the corpus ------------------------------------------------------------------------

const utf8 = new TextEncoder();
const text = fc.string({ unit: fc.constantFrom(...'abcdefgh \n', 'é', 'ж', '鯨', '🐋'), maxLength: 60, size: 'max' });
const texts = fc
  .array(text, { minLength: 1, maxLength: 12 })
  .map((list) => list.map((t, i): Document => ({ name: `d${i}`, bytes: utf8.encode(t) })));
/** Every second one of many short documents, so that `auto` may draw whole ones. */
const corpora = fc.oneof(
  texts,
  documents,
  fc
    .tuple(texts, fc.integer({ min: 150, max: 400 }))
    .map(([few, count]) => few.concat(Array.from({ length: count }, (_, i) => document(`n${i}`, `text ${i * i}`)))),
);
const document = (name: string, content: string): Document => ({ name, bytes: utf8.encode(content) });
const choice = fc.constantFrom(...SPLIT_CHOICES);
const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** The training part and the held-out part, whatever the order. Null where drawing whole documents is refused. */
function partsOf(docs: readonly Document[], how: (typeof SPLIT_CHOICES)[number], options: object): Split | null {
  try {
    return splitCorpus(docs, how, options);
  } catch (error) {
    expect((error as Error).message).toMatch(/^--split documents holds out (none|every one) of the \d+ documents/);
    return null;
  }
}
const sorted = (parts: readonly Part[]) => parts.map(({ bytes, name }) => `${name}: ${bytes.join()}`).sort();

describe('every byte is in one part', () => {
  test('exactly once, in documents that keep their order', () => {
    fc.assert(
      fc.property(corpora, choice, fraction, seed, (docs, how, share, seed) => {
        const split = partsOf(docs, how, { fraction: share, seed });
        if (!split) return;
        const pieces = new Map<Document, Part[]>();
        for (const part of split.train.concat(split.heldOut)) {
          pieces.set(part.whole, (pieces.get(part.whole) ?? []).concat(part));
          expect(part.bytes).toEqual(part.whole.bytes.subarray(part.from, part.from + part.bytes.length));
        }
        for (const whole of docs) expect([...concatenated(pieces.get(whole)!)]).toEqual([...whole.bytes]);
        expect(pieces.size).toBe(docs.length);
        const places = (parts: readonly Part[]) => parts.map(({ whole }) => docs.indexOf(whole));
        for (const parts of [split.train, split.heldOut]) {
          expect(places(parts)).toEqual(places(parts).sort((a, b) => a - b));
        }
      }),
      { numRuns },
    );
  });

  test('and the same parts whatever the order of the files', () => {
    const shuffled = corpora.chain((docs) =>
      fc.tuple(fc.constant(docs), fc.shuffledSubarray(docs, { minLength: docs.length, maxLength: docs.length })),
    );
    fc.assert(
      fc.property(
        shuffled,
        fc.constantFrom('auto', 'documents', 'tails'),
        fraction,
        seed,
        ([a, b], how, share, seed) => {
          const [one, other] = [a, b].map((docs) => partsOf(docs, how as 'auto', { fraction: share, seed }));
          expect(one === null).toBe(other === null);
          // The last resort of documents too short for tails is the end of the data, which is an order.
          if (!one || !other || (one as { mode?: string }).mode === 'end') return;
          expect(sorted(one.train)).toEqual(sorted(other.train));
          expect(sorted(one.heldOut)).toEqual(sorted(other.heldOut));
        },
      ),
      { numRuns },
    );
  });

  test('and no cut divides a UTF-8 character', () => {
    fc.assert(
      fc.property(texts, choice, fraction, (docs, how, share) => {
        const split = partsOf(docs, how, { fraction: share });
        const decoder = new TextDecoder('utf-8', { fatal: true });
        for (const { bytes } of split ? split.train.concat(split.heldOut) : []) decoder.decode(bytes);
      }),
      { numRuns },
    );
  });
});

describe('documents', () => {
  test('a document that is added moves no other', () => {
    fc.assert(
      fc.property(corpora, corpora, fraction, seed, (docs, more, share, seed) => {
        const before = partsOf(docs, 'documents', { fraction: share, seed });
        const after = partsOf(more.concat(docs), 'documents', { fraction: share, seed });
        if (!before || !after || share === 0) return;
        const held = new Set(after.heldOut.map(({ whole }) => whole));
        for (const { whole } of before.heldOut) expect(held.has(whole)).toBe(true);
        for (const { whole } of before.train) expect(held.has(whole)).toBe(false);
      }),
      { numRuns },
    );
  });

  test('neither name nor copies move one; another seed draws others', () => {
    const docs = Array.from({ length: 1000 }, (_, i) => document(`${i}.txt`, `this is text ${i}`));
    const held = (list: readonly Document[], seed = 0) =>
      splitCorpus(list, 'documents', { seed }).heldOut.map(({ bytes }) => new TextDecoder().decode(bytes));
    expect(held(docs.map(({ bytes }) => ({ name: 'x', bytes })))).toEqual(held(docs));
    expect(held(docs.concat(docs))).toEqual(held(docs).concat(held(docs)));
    const both = held(docs).filter((t) => held(docs, 1).includes(t));
    expect(both.length).toBeLessThan(held(docs).length / 2);
  });

  test('auto draws whole documents where there are many: the share held out is within half of the fraction and twice', () => {
    for (const seed of [0, 1, 2, 3, 4]) {
      for (const share of [0.05, 0.1, 0.5, 0.9]) {
        const docs = Array.from({ length: 600 }, (_, i) => document(`${i}`, `${i} `.repeat(1 + (i % 7))));
        const { mode, heldOut, train } = splitCorpus(docs, 'auto', { fraction: share, seed });
        expect(mode).toBe('documents');
        expect(totalBytes(heldOut) / totalBytes(docs)).toBeGreaterThan(share / 2);
        expect(totalBytes(heldOut) / totalBytes(docs)).toBeLessThan(2 * share);
        expect(train.length).toBeGreaterThan(0);
      }
    }
  });

  test('200,000 tiny documents are split and listed', () => {
    const docs = Array.from({ length: 200_000 }, (_, i) => document(`f:${i}`, `row ${i}`));
    for (const how of ['auto', 'tails', 'end'] as const) {
      const split = splitCorpus(docs, how);
      expect(totalBytes(split.train) + totalBytes(split.heldOut)).toBe(totalBytes(docs));
      expect(Math.abs(totalBytes(split.heldOut) / totalBytes(docs) - 0.1)).toBeLessThan(0.02);
      expect(splitHash(split)).toHaveLength(64);
    }
    expect(splitCorpus(docs, 'auto').mode).toBe('documents');
  });
});

describe('tails', () => {
  const lines = (n: number) => Array.from({ length: n }, (_, i) => `line ${i} of a text\n`).join('');

  test('few documents, unequal ones and copies of one are held out by their ends', () => {
    const mode = (docs: readonly Document[]) => splitCorpus(docs, 'auto').mode;
    expect(mode([document('a', lines(100))])).toBe('tails');
    expect(mode(Array.from({ length: 60 }, (_, i) => document(`${i}`, lines(20 + i))))).toBe('tails');
    const many = Array.from({ length: 400 }, (_, i) => document(`${i}`, `a text of number ${i}`));
    expect(mode(many)).toBe('documents');
    expect(mode(many.concat(document('large', lines(2000))))).toBe('tails');
    expect(mode(many.map(({ name }) => document(name, 'all the same text')))).toBe('tails');
  });

  test('each end begins where a line does, a word does, or a character does, and is about the fraction', () => {
    const end = (content: string) => {
      const { heldOut } = splitCorpus([document('a', content)], 'tails');
      return new TextDecoder('utf-8', { fatal: true }).decode(concatenated(heldOut));
    };
    expect(end(lines(100))).toMatch(/^line 90 of a text\n/);
    expect(end('word '.repeat(200))).toBe('word '.repeat(20));
    expect(end('鯨'.repeat(101))).toBe('鯨'.repeat(10));
    expect(end('🐋'.repeat(101))).toBe('🐋'.repeat(10));
    fc.assert(
      fc.property(texts, fraction, (docs, share) => {
        for (const doc of docs) {
          const held = totalBytes(splitCorpus([doc], 'tails', { fraction: share }).heldOut);
          const wanted = Math.round(share * doc.bytes.length);
          expect(Math.abs(held - wanted)).toBeLessThanOrEqual(1 + Math.max(3, Math.min(256, wanted / 4)));
          if (held > 0) expect(held).toBeLessThan(doc.bytes.length);
        }
      }),
      { numRuns },
    );
  });

  test('documents too short to have tails: the end of the data is the last resort', () => {
    const docs = Array.from({ length: 9 }, (_, i) => document(`${i}`, 'abcd'));
    const { mode, heldOut } = splitCorpus(docs, 'auto');
    expect([mode, totalBytes(heldOut)]).toEqual(['end', 4]);
  });
});
