import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadDocuments } from '../../../packages/cli/src/data/sources.ts';
import { KeptTexts, keptPath } from '../../../packages/cli/src/scoring/keep.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const text = (source: string, line: number | null, content: string) => ({ source, line, bytes: Buffer.from(content) });

test('lines are appended to the file of their name, and the folder is there at the end', () => {
  const parent = temporaryFolder();
  const kept = new KeptTexts(join(parent, 'out'));
  kept.add(text('logs/a.log', 1, 'one\n'));
  kept.add(text('logs/a.log', 3, 'three\n'));
  kept.add(text('/etc/b', 2, 'two\n'));
  expect(existsSync(join(parent, 'out'))).toBe(false);
  kept.finish();
  expect(readFileSync(join(parent, 'out/logs/a.log'), 'utf8')).toBe('one\nthree\n');
  expect(readFileSync(join(parent, 'out/etc/b'), 'utf8')).toBe('two\n');
  expect(readdirSync(parent)).toEqual(['out']);
});

test('discarding leaves nothing', () => {
  const parent = temporaryFolder();
  const kept = new KeptTexts(join(parent, 'out'));
  kept.add(text('a', null, 'content'));
  kept.discard();
  expect(readdirSync(parent)).toEqual([]);
});

test.each([
  ['../../etc/passwd', 'etc/passwd'],
  ['/a/b', 'a/b'],
  ['./a/../b', 'b'],
  ['archive.tar:dir/x', 'archive.tar:dir/x'],
  ['archive.tar:dir/x.txt.gz', 'archive.tar:dir/x.txt'],
  ['a/b.txt.ZST', 'a/b.txt'],
  ['a/.gz', 'a/.gz'],
])('%s is kept as %s, inside the folder', (source, path) => expect(keptPath(source)).toBe(path));

test('what was unpacked is read back from the folder as it was kept, and what was raw as it is', async () => {
  const parent = temporaryFolder({ 'a.txt.gz': gzipSync('plain\n') });
  for (const raw of [false, true]) {
    const options = { raw, minBytes: 1 };
    const read = await loadDocuments([join(parent, 'a.txt.gz')], options);
    const kept = new KeptTexts(join(parent, `out-${raw}`), raw);
    for (const { name, bytes } of read) kept.add({ source: name, line: null, bytes });
    kept.finish();
    const again = await loadDocuments([join(parent, `out-${raw}`)], options);
    expect(again.map(({ bytes }) => Buffer.from(bytes))).toEqual(read.map(({ bytes }) => Buffer.from(bytes)));
  }
});

test.skipIf(process.platform === 'win32')('a backslash and a colon are letters of a name, but not on Windows', () => {
  expect(keptPath('C:/logs/a\\b')).toBe('C:/logs/a\\b');
});

test('a folder that exists and two files of one name are refused', () => {
  const parent = temporaryFolder({ 'out/file': 'mine' });
  expect(() => new KeptTexts(join(parent, 'out'))).toThrow('exists already; give a new folder with --out');
  const kept = new KeptTexts(join(parent, 'new'));
  kept.add(text('../a', null, 'x'));
  expect(() => kept.add(text('a', null, 'y'))).toThrow('../a and a would become one file');
  expect(() => kept.add(text('../a', null, 'y'))).toThrow('../a is given twice');
  kept.discard();
});
