import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { copiesOfHeldOut, repeats } from '../../../packages/cli/src/data/copies.ts';
import { loadCorpus } from '../../../packages/cli/src/data/corpus.ts';
import type { Document } from '../../../packages/cli/src/data/document.ts';
import { type Part, splitHeldOut, wholePart } from '../../../packages/cli/src/data/split.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const documents = fc
  .array(fc.uint8Array({ maxLength: 3 }), { maxLength: 8 })
  .map((list) => list.map((bytes, i): Part => wholePart({ name: `d${i}`, bytes })));
const part = (name: string, text: string): Part => wholePart({ name, bytes: new TextEncoder().encode(text) });
/** Sentences that no other number has. */
const story = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `Sentence ${(from + i) * 7919} tells of whale number ${from + i}. `).join(
    '',
  );
const found = (train: Part[], heldOut: Part[]) =>
  copiesOfHeldOut({ train, heldOut }).map((c) => [c.train.name, c.heldOut.name, c.exact]);

describe('training documents that repeat held-out ones', () => {
  test('equal ones, however short', () => {
    fc.assert(
      fc.property(documents, documents, (train, heldOut) => {
        const known = new Set(heldOut.map(({ bytes }) => bytes.join()));
        const expected = train.filter(({ bytes }) => known.has(bytes.join())).map(({ name }) => name);
        expect(copiesOfHeldOut({ train, heldOut }).map(({ train }) => train.name)).toEqual(expected);
      }),
      { numRuns: runs(100) },
    );
  });

  test('one with a few letters changed, one that holds it, and one held in it; none that shares a part', () => {
    const held = [part('other', story(500, 550)), part('held', story(0, 50))];
    const near = story(0, 50).replace('number 7.', 'number 8.').replace('number 30.', 'number 31.');
    expect(found([part('near', near)], held)).toEqual([['near', 'held', false]]);
    expect(found([part('holds', story(100, 400) + story(0, 50) + story(400, 450))], held)).toEqual([
      ['holds', 'held', false],
    ]);
    expect(found([part('within', story(10, 30))], held)).toEqual([['within', 'held', false]]);
    expect(found([part('equal', story(0, 50))], held)).toEqual([['equal', 'held', true]]);
    expect(found([part('half', story(25, 75))], held)).toEqual([]);
    expect(found([part('unlike', story(100, 150))], held)).toEqual([]);
  });

  test('the head of a text that repeats itself is no copy of its own end', () => {
    const { train, heldOut } = splitHeldOut([
      part('log', 'the same line again and again, every day of it\n'.repeat(90)),
    ]);
    expect(found(train, heldOut)).toEqual([]);
    expect(
      found([part('other log', 'the same line again and again, every day of it\n'.repeat(50))], heldOut),
    ).toHaveLength(1);
  });

  test('nor do zeros or a header that all share make copies', () => {
    const header = `${story(900, 904)}\n`;
    const held = Array.from({ length: 40 }, (_, i) => part(`h${i}`, header + story(10 * i, 10 * i + 10)));
    expect(found([part('t', header + story(600, 610))], held)).toEqual([]);
    expect(found([part('h7 again', `${header}${story(70, 80)}x`)], held)).toEqual([['h7 again', 'h7', false]]);
    expect(found([part('zeros', '\0'.repeat(5000))], [part('zeros', '\0'.repeat(300))])).toEqual([]);
  });

  test('the order of the held-out documents does not matter', () => {
    const held = [0, 5, 10, 15].map((i) => part(`h${i}`, story(i, i + 50)));
    const train = [part('t', story(3, 53)), part('u', story(14, 60))];
    const names = (list: Part[]) => found(train, list).map(([name]) => name);
    expect(names([...held].reverse())).toEqual(names(held));
  });

  test('in a large held-out part only a sample of the shingles is kept, and they are found still', () => {
    // 4.6 MB held out: one shingle in four.
    const held = Array.from({ length: 40 }, (_, i) => part(`h${i}`, story(2000 * i, 2000 * i + 2000)));
    const near = story(6000, 8000).replaceAll('number 7', 'number  7');
    expect(found([part('near', near), part('new', story(900_000, 902_000))], held)).toEqual([['near', 'h3', false]]);
  });
});

test('documents that are equal to an earlier one', () => {
  fc.assert(
    fc.property(documents, (train) => {
      const seen = new Set<string>();
      const expected = train.filter(({ bytes }) => seen.size === seen.add(bytes.join()).size);
      expect(repeats(train)).toEqual(expected);
    }),
    { numRuns: runs(100) },
  );
});

test('copies are named once, and --dedupe leaves them out of training without moving the held-out part', async () => {
  const rows = (numbers: number[]) => numbers.map((i) => `${JSON.stringify({ text: story(i, i + 5) })}\n`).join('');
  const all = Array.from({ length: 300 }, (_, i) => 10 * i);
  const source = { heldOut: null, heldOutFraction: 0.1, split: 'auto', textField: null } as const;
  const plain = await loadCorpus(
    { ...source, data: [`${temporaryFolder({ 'a.jsonl': rows(all) })}/a.jsonl`] },
    (message) => expect.fail(message),
  );
  const held = Math.min(...plain.heldOut.map(({ whole }) => plain.all.indexOf(whole)));
  const trained = plain.all.indexOf(plain.train[0].whole);
  // A row held out with one letter more, which is drawn for training or not; and a training row twice.
  const near = Array.from(
    { length: 8 },
    (_, i) => `${JSON.stringify({ text: `${story(10 * held, 10 * held + 5)}${i}` })}\n`,
  );
  const data = [`${temporaryFolder({ 'b.jsonl': rows([...all, 10 * trained]) + near.join('') })}/b.jsonl`];
  const warnings: string[] = [];
  const warned = await loadCorpus({ ...source, data }, (message) => warnings.push(message));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(
    /^\d training documents? repeats? held-out text \(.*b\.jsonl:30\d is nearly .*b\.jsonl:\d+.*\): held-out figures will look too good; --dedupe leaves them out of training$/,
  );
  const dedupe = await loadCorpus({ ...source, data, dedupe: true }, (message) => expect.fail(message));
  expect(dedupe.heldOut).toEqual(warned.heldOut);
  const names = dedupe.leftOut.map(({ name }) => Number(name.split(':').at(-1)));
  expect(names.every((line) => line > 300)).toBe(true);
  expect(names).toContain(301);
  expect(names.length).toBe(1 + Number.parseInt(warnings[0], 10));
  expect(dedupe.train.length + dedupe.leftOut.length).toBe(warned.train.length);
  const twice = [`${temporaryFolder({ 'a.txt': story(0, 90), 'b.txt': story(0, 90) + story(0, 90) })}`];
  await expect(
    loadCorpus({ ...source, split: undefined, heldOut: twice, data: twice, dedupe: true }, null),
  ).rejects.toThrow('--dedupe leaves nothing to train on');
});

test('exact duplicates among 200,000 rows', () => {
  const train: Document[] = Array.from({ length: 200_000 }, (_, i) => part(`${i}`, `row ${i % 150_000}`));
  const heldOut = Array.from({ length: 20_000 }, (_, i) => part(`${i}`, `row ${i * 10}`));
  expect(copiesOfHeldOut({ train: train as Part[], heldOut })).toHaveLength(15_000 + 5000);
  expect(repeats(train as Part[])).toHaveLength(50_000);
});
