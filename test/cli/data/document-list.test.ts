import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluatedOn } from '../../../packages/cli/src/commands/eval.ts';
import { train } from '../../../packages/cli/src/commands/train.ts';
import { loadCorpus } from '../../../packages/cli/src/data/corpus.ts';
import type { Document } from '../../../packages/cli/src/data/document.ts';
import {
  differences,
  documentListText,
  heldOutHash,
  parseDocumentList,
  recovered,
} from '../../../packages/cli/src/data/document-list.ts';
import { type Split, splitCorpus, splitHash } from '../../../packages/cli/src/data/split.ts';
import { RunFolder } from '../../../packages/cli/src/run/folder.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const doc = (name: string, text: string): Document => ({ name, bytes: new TextEncoder().encode(text) });
const contents = fc
  .uniqueArray(fc.string({ minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 8 })
  .map((list) => list.map((text, i) => doc(`d${i}`, text)));
const bytesOf = (parts: Split['train']) => parts.map(({ bytes }) => [...bytes]);

test('what was held out is found again among documents that were added, moved, or have grown', () => {
  const changes = fc.record({ added: contents, grown: fc.string(), how: fc.constantFrom('auto', 'tails', 'end') });
  fc.assert(
    fc.property(contents, changes, (all, { added, grown, how }) => {
      const split = splitCorpus(all, how as 'auto', { fraction: 0.3 });
      const hash = heldOutHash(split);
      if (hash === null) return;
      const list = parseDocumentList(documentListText({ all, ...split }), 'data.jsonl');
      const now = added.map(({ bytes }, i) => ({ name: `new${i}`, bytes })).concat(all);
      expect(bytesOf(recovered(list, hash, now)!.heldOut)).toEqual(bytesOf(split.heldOut));
      expect(bytesOf(recovered(list, hash, now)!.train)).toEqual(bytesOf(split.train));
      const larger = all.map(({ name, bytes }) => ({ name, bytes: Buffer.concat([bytes, Buffer.from(grown)]) }));
      expect(bytesOf(recovered(list, hash, larger)!.heldOut)).toEqual(bytesOf(split.heldOut));
      const moved = all.map(({ bytes }, i) => ({ name: `elsewhere${i}`, bytes })).reverse();
      expect(bytesOf(recovered(list, hash, moved)!.heldOut)).toEqual(bytesOf(split.heldOut));
      const gone = all.filter((document) => document !== split.heldOut[0].whole);
      expect(recovered(list, hash, gone)).toBeNull();
    }),
    { numRuns: runs(100) },
  );
});

test('the first document that differs is named', () => {
  const all = [doc('a', 'one'), doc('b', 'two'), doc('c', 'three')];
  const list = parseDocumentList(documentListText({ all, ...splitCorpus(all, 'tails') }), 'data.jsonl');
  const [a, b, c] = all;
  expect(differences(list, [a, doc('b', 'two!'), c])).toBe('b has changed (3 bytes then, 4 now)');
  expect(differences(list, [a, b, c, doc('d', 'four')])).toBe('d is new');
  expect(differences(list, [a, b])).toBe('c is no longer there');
  expect(differences(list, [doc('a', 'on'), c])).toBe('a has changed (3 bytes then, 2 now), and 1 other document');
  expect(differences(list, [a, c, b])).toBe('the same documents come in another order');
});

test('of a large corpus only the held-out documents are listed', () => {
  const all = Array.from({ length: 100_001 }, (_, i) => doc(`${i}`, `row ${i}`));
  const split = splitCorpus(all, 'documents');
  const list = parseDocumentList(documentListText({ all, ...split }), 'data.jsonl');
  expect(list.documents).toHaveLength(split.heldOut.length);
  expect(bytesOf(recovered(list, heldOutHash(split)!, all.concat(doc('new', 'row')))!.heldOut)).toEqual(
    bytesOf(split.heldOut),
  );
  expect(differences(list, all)).toMatch(/^the training documents are not listed/);
});

test.each([
  ['', /^data\.jsonl line 1/],
  ['{"format":2,"complete":true}', /^data\.jsonl line 1.*format/],
  ['{"format":1,"complete":true}\n{', /^data\.jsonl line 2 is not JSON/],
  ['{"format":1,"complete":true}\n{"name":"a","bytes":1,"sha256":"x"}', /^data\.jsonl line 2.*sha256/],
  ['{"format":1,"complete":true}\n{"name":"a","bytes":-1}', /^data\.jsonl line 2.*bytes/],
])('a list that is damaged is refused in one sentence: %j', (text, message) => {
  expect(() => parseDocumentList(text, 'data.jsonl')).toThrow(message);
});

describe('a run whose data have changed since', () => {
  const line = (i: number) => `line ${i} of a text that goes on for some while\n`;
  const lines = (n: number) => Array.from({ length: n }, (_, i) => line(i)).join('');
  const flags = (data: string, runs: string, more: object = {}) => ({
    ...{ data: [data], runs, backend: 'reference', patchingMode: 'space', steps: '1', rowBytes: '32', batchSize: '1' },
    ...{ localWidth: '8', localHeads: '2', decoderLayers: '1', globalWidth: '16', globalHeads: '2', globalLayers: '1' },
    ...{ hashSizes: '3', hashVocab: '16', memory: 'off', ...more },
  });
  /** Trains a run on a file that is then changed. */
  async function changed(change: (file: string) => void, more: object = {}) {
    const folder = temporaryFolder({ 'book/a.txt': lines(60), 'book/b.txt': lines(30).toUpperCase() });
    const run = join(folder, 'runs/r');
    expect(await train(flags(join(folder, 'book'), join(folder, 'runs'), { run: 'r', ...more }))).toBe(0);
    const record = await new RunFolder(run).record();
    const before = await evaluatedOn(run, record, () => expect.fail('nothing has changed'));
    change(join(folder, 'book'));
    const warnings: string[] = [];
    const evaluated = evaluatedOn(run, record, (message) => warnings.push(message));
    return {
      run,
      before,
      evaluated,
      warnings,
      resumed: train({ runs: '', resume: run }).catch((e: Error) => e.message),
    };
  }

  test.each([
    [
      'a line is appended',
      (book: string) => appendFileSync(join(book, 'b.txt'), 'more\n'),
      /b\.txt has changed \(\d+ bytes then, \d+ now\)/,
    ],
    ['a file is added', (book: string) => writeFileSync(join(book, '0.txt'), lines(20)), /0\.txt is new/],
    [
      'a file is renamed',
      (book: string) => renameSync(join(book, 'a.txt'), join(book, 'c.txt')),
      /c\.txt is new, and 1 other document/,
    ],
  ])('%s: eval measures the same bytes and says so, resume names the file and what to do', async (_, change, what) => {
    const { before, evaluated, warnings, resumed } = await changed(change);
    const after = await evaluated;
    expect(after.heldOut.map(({ bytes }) => [...bytes])).toEqual(before.heldOut.map(({ bytes }) => [...bytes]));
    expect(warnings).toEqual([expect.stringMatching(what)]);
    expect(await resumed).toMatch(what);
    expect(await resumed).toMatch(/; restore it to go on with the run, or train a new run on the data as it is$/);
  });

  test('held-out bytes that are gone: eval names the file and says how', async () => {
    const { evaluated, resumed } = await changed((book) => rmSync(join(book, 'a.txt')));
    await expect(evaluated).rejects.toThrow(
      /its held-out part is not among them: .*a\.txt is no longer there; restore them, or give --data FILE to evaluate on$/,
    );
    expect(await resumed).toContain('a.txt is no longer there');
  });

  test('a run of version 0.1 has the end of its data to the byte, and no list', async () => {
    const folder = temporaryFolder({ 'a.txt': `${'é'.repeat(300)}x` });
    const data = join(folder, 'a.txt');
    expect(await train(flags(data, join(folder, 'runs'), { run: 'r' }))).toBe(0);
    const run = join(folder, 'runs/r');
    const old = await loadCorpus({ data: [data], heldOut: null, heldOutFraction: 0.1, textField: null }, null);
    const {
      split: _,
      dedupe: __,
      heldOutHash: ___,
      ...kept
    } = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8'));
    writeFileSync(join(run, 'config.json'), JSON.stringify({ ...kept, dataHash: splitHash(old) }));
    rmSync(join(run, 'data.jsonl'));
    const record = await new RunFolder(run).record();
    const { heldOut } = await evaluatedOn(run, record, () => expect.fail('nothing has changed'));
    expect(heldOut[0].bytes).toHaveLength(60);
    appendFileSync(data, 'more');
    await expect(evaluatedOn(run, record, () => {})).rejects.toThrow(
      /its held-out part is not among them; restore them/,
    );
  });
});
