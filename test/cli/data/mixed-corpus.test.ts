/** @file Several sources as one corpus: each keeps the held-out part of its own run, chats stay whole, and a sample has every source's share. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planRun } from '@blt-ts/blt';
import { afterAll, expect, test } from 'vitest';
import { corpusIds, loadCorpus, loadNewCorpus } from '../../../packages/cli/src/data/corpus.ts';
import { type Document, totalBytes } from '../../../packages/cli/src/data/document.ts';
import { DataInMemory } from '../../../packages/cli/src/data/run-data.ts';
import { checkSize } from '../../../packages/cli/src/training/enough-data.ts';
import { plannedBytes } from '../../../packages/cli/src/training/planned-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'blt-mixed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const one = join(folder, 'one.txt');
const many = join(folder, 'many');
const chat = join(folder, 'chat.jsonl');
writeFileSync(one, 'a sentence of words\n'.repeat(300));
mkdirSync(many);
for (let i = 0; i < 250; i++) writeFileSync(join(many, `${i}.txt`), `document ${i}, and what it says: ${i * i}\n`);
const messages = (i: number) => [
  { role: 'user', content: `what is ${i}?` },
  { role: 'assistant', content: `a number, ${i}` },
];
writeFileSync(chat, Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ messages: messages(i) })}\n`).join(''));

const load = (...data: string[]) =>
  loadCorpus({ data, heldOut: null, heldOutFraction: 0.1, split: 'auto', seed: 0, textField: null }, null);
const texts = (documents: readonly Document[]) => documents.map(({ bytes }) => Buffer.from(bytes).toString());

test('each source has the held-out part that it has in a run of its own, the book too', async () => {
  const mixed = await load(`${one}=3`, many, '@moby-dick=0.5');
  expect({ weights: mixed.weights, splits: mixed.splits }).toEqual({
    weights: [3, 1, 0.5],
    splits: ['tails', 'documents', 'end'],
  });
  const own = [await load(one), await load(many), await load()];
  for (const [s, { heldOut, train }] of own.entries()) {
    expect(texts(mixed.heldOut.filter(({ source }) => source === s))).toEqual(texts(heldOut));
    expect(texts(mixed.train.filter(({ source }) => source === s))).toEqual(texts(train));
  }
  expect(totalBytes(own[2].heldOut)).toBe(119_275);
  // What was chosen is recorded, and gives the same parts again.
  const again = await loadCorpus(
    { data: [`${one}=3`, many], heldOut: null, heldOutFraction: 0.1, splits: ['tails', 'documents'], textField: null },
    null,
  );
  expect(texts(again.heldOut)).toEqual(texts([...own[0].heldOut, ...own[1].heldOut]));
});

test('a sample has the share of every source, or all that it has', async () => {
  const mixed = await load(`${one}=3`, `${many}=1`);
  const data = new DataInMemory(mixed);
  const { train } = await data.sampled({ trainBytes: 4000, heldOutBytes: 200 }, 1);
  expect(totalBytes(train.filter(({ source }) => source === 0))).toBe(totalBytes(mixed.train.slice(0, 1)));
  const rest = totalBytes(train.filter(({ source }) => source === 1));
  expect(rest).toBeGreaterThanOrEqual(1000);
  expect(rest).toBeLessThan(1100);
  expect(plannedBytes(data)).toBeLessThan(totalBytes(mixed.train));
});

test('chats are held out whole, and their answers are what counts', async () => {
  const corpus = await load(chat);
  expect(corpus.mode).toBe('documents');
  for (const { bytes, whole } of [...corpus.train, ...corpus.heldOut]) expect(bytes.length).toBe(whole.bytes.length);
  const { heldOut, counted } = corpusIds(corpus);
  const answers = heldOut.map((ids, i) => ids.filter((_, at) => counted!.heldOut[i]![at] === 1));
  for (const ids of answers) {
    const text = String.fromCharCode(...ids.slice(0, -2).map((id) => id - 4)); // 0x03 and EOS end it
    expect(text).toMatch(/^a number, \d+$/);
  }
});

const fewChats = (count: number): string => {
  const file = join(folder, `chats-${count}.jsonl`);
  writeFileSync(
    file,
    Array.from({ length: count }, (_, i) => `${JSON.stringify({ messages: messages(i) })}\n`).join(''),
  );
  return file;
};

test('of few chats at least one is held out, whole, and the same one again where the outcome is recorded', async () => {
  for (const [count, seed] of [2, 3, 5].flatMap((n) => [0, 1, 2, 3, 4].map((s) => [n, s]))) {
    const source = { data: [fewChats(count)], heldOut: null, heldOutFraction: 0.1, seed, textField: null };
    const { mode, train, heldOut } = await loadCorpus({ ...source, split: 'auto' }, null);
    expect(mode).toBe('documents');
    expect(Math.min(train.length, heldOut.length)).toBeGreaterThan(0);
    for (const { bytes, whole } of [...train, ...heldOut]) expect(bytes.length).toBe(whole.bytes.length);
    const again = await loadCorpus({ ...source, split: 'documents' }, null);
    expect(texts(again.heldOut)).toEqual(texts(heldOut));
  }
  // Plain text beside the chats is not held out in the place of one.
  const [text, chats] = [one, fewChats(2)];
  for (const seed of [0, 1, 2, 3, 4, 5]) {
    const source = { data: [text, chats], heldOut: null, heldOutFraction: 1e-9, seed, textField: null };
    const { heldOut } = await loadCorpus({ ...source, split: 'auto' }, null);
    expect(heldOut.map(({ answers }) => answers !== undefined)).toEqual([true]);
  }
  await expect(load(fewChats(1))).rejects.toThrow('chats are held out whole, and all of these are one and the same');
});

test.each(['tails', 'end'] as const)('--split %s of chats is refused, and a run that has it goes on', async (split) => {
  const source = { data: [one, chat], heldOut: null, heldOutFraction: 0.1, seed: 0, textField: null, split };
  await expect(loadNewCorpus(source, () => {})).rejects.toThrow(`--split ${split} would cut chats`);
  expect((await loadNewCorpus({ ...source, heldOutFraction: 0 }, () => {})).heldOut).toEqual([]);
  expect((await loadCorpus(source, null)).mode).toBe(split);
});

test('held-out chats without a byte of an answer are refused before training', async () => {
  const plan = planRun({ size: 'nano', rowBytes: 64 }, 10_000);
  const source = { heldOut: null, heldOutFraction: 0.1 };
  const loaded = await load(chat);
  const sizes = { trainBytes: 10_000, heldOutBytes: 100 };
  expect(() => checkSize({ ...sizes, loaded }, plan, source)).not.toThrow();
  const cut = loaded.heldOut.map((part) => ({ ...part, answers: [] }));
  expect(() => checkSize({ ...sizes, loaded: { ...loaded, heldOut: cut } }, plan, source)).toThrow(
    'the held-out chats have no byte of an answer',
  );
  // Plain text beside them is measured.
  const text = (await load(one)).heldOut;
  expect(() => checkSize({ ...sizes, loaded: { ...loaded, heldOut: [...cut, ...text] } }, plan, source)).not.toThrow();
});

test('a source without anything to train on is named', async () => {
  const tiny = join(folder, 'tiny.txt');
  writeFileSync(tiny, 'x\n');
  await expect(load(`${one}=3`, tiny)).rejects.toThrow(`${tiny} has 1 byte to train on, too few to draw rows from`);
});
