import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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
])('%s is kept as %s, inside the folder', (source, path) => expect(keptPath(source)).toBe(path));

test('a folder that exists and two files of one name are refused', () => {
  const parent = temporaryFolder({ 'out/file': 'mine' });
  expect(() => new KeptTexts(join(parent, 'out'))).toThrow('exists already; give a new folder with --out');
  const kept = new KeptTexts(join(parent, 'new'));
  kept.add(text('../a', null, 'x'));
  expect(() => kept.add(text('a', null, 'y'))).toThrow('../a and a would become one file');
  expect(() => kept.add(text('../a', null, 'y'))).toThrow('../a is given twice');
  kept.discard();
});
