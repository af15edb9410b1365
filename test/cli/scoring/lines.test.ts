import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../packages/cli/src/scoring/lines.ts';
import { type Text, textGroups } from '../../../packages/cli/src/scoring/texts.ts';
import { property } from '../../support/property.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Bytes with many line breaks, and places to cut them at. */
const streams = fc.record({
  bytes: fc.array(fc.constantFrom(10, 13, 0, 97, 0xff), { maxLength: 60 }).map((all) => Uint8Array.from(all)),
  cuts: fc.array(fc.nat(60), { maxLength: 8 }).map((all) => [...all].sort((a, b) => a - b)),
});

property('lines are those of the whole, however the stream comes in', streams, 100, ({ bytes, cuts }) => {
  const splitter = new LineSplitter('a test');
  const lines = [0, ...cuts].flatMap((from, i) => splitter.push(bytes.slice(from, cuts[i] ?? bytes.length)));
  lines.push(...splitter.end());
  const text = Buffer.from(bytes).toString('latin1');
  expect(lines.map((line) => Buffer.from(line).toString('latin1'))).toEqual(text.match(/[^\n]*\n|[^\n]+$/g) ?? []);
});

test('a line without an end is refused', () => {
  const splitter = new LineSplitter('standard input');
  expect(() => splitter.push(new Uint8Array(2 ** 24 + 1))).toThrow('a line of standard input has more than 16.8 MB');
});

const collected = async (groups: AsyncGenerator<Text[]>): Promise<string[]> => {
  const all: string[] = [];
  for await (const group of groups) {
    for (const { source, line, bytes } of group) all.push(`${source}:${line}:${Buffer.from(bytes).toString()}`);
  }
  return all;
};
const options = { lines: true, minBytes: 0, warn: () => {}, refused: () => {} };

test('lines of files have the name of their file and its count, lines of standard input come as they do', async () => {
  const folder = temporaryFolder({ 'a.txt': 'one\n\ntwo', 'b.jsonl': '{"text":"x\\ny"}\n{"text":"z"}\n' });
  async function* stdin() {
    yield Buffer.from('first\nsec');
    yield Buffer.from('ond\n');
  }
  const groups = textGroups([`${folder}/a.txt`, '-', `${folder}/b.jsonl`], { ...options, stdin: stdin() });
  const found = (await collected(groups)).map((text) => text.replace(`${folder}/`, ''));
  expect(found).toEqual([
    'a.txt:1:one\n',
    'a.txt:2:\n',
    'a.txt:3:two',
    'stdin:1:first\n',
    'stdin:2:second\n',
    'b.jsonl:1:1:x\n',
    'b.jsonl:1:2:y',
    'b.jsonl:2:1:z',
  ]);
});

test('a file that is given twice is used once, and that is said; so is standard input', async () => {
  const folder = temporaryFolder({ 'd/a.txt': 'one\n' });
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  for (const files of [
    [`${folder}/d/a.txt`, `${folder}/d/a.txt`],
    [`${folder}/d`, `${folder}/d/a.txt`],
  ]) {
    expect(await collected(textGroups(files, { ...options, warn }))).toEqual([`${folder}/d/a.txt:1:one\n`]);
    expect(warnings.splice(0)).toEqual([`${folder}/d/a.txt is given twice; used once`]);
  }
  const read = collected(textGroups(['-', `${folder}/d`, '-'], options));
  await expect(read).rejects.toThrow("standard input can be read once; give '-' a single time");
});

test('shorter texts are left out, and keep their numbers', async () => {
  const folder = temporaryFolder({ 'a.txt': 'long enough\nno\nlong enough\n' });
  const found = await collected(textGroups([`${folder}/a.txt`], { ...options, minBytes: 5 }));
  expect(found.map((text) => text.split(':')[1])).toEqual(['1', '3']);
});
