import { symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareNames, expandGlob, walkFolder } from '../../../packages/cli/src/data/walk.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const name = fc.string({ unit: fc.constantFrom('a', 'b', '0', '1', '9', '.', '_', ':', '/'), maxLength: 6 });

test('names have a total order', () => {
  fc.assert(
    fc.property(name, name, name, (a, b, c) => {
      expect(Math.sign(compareNames(a, b))).toBe(-Math.sign(compareNames(b, a)) + 0);
      expect(compareNames(a, b) === 0).toBe(a === b);
      if (compareNames(a, b) < 0 && compareNames(b, c) < 0) expect(compareNames(a, c)).toBeLessThan(0);
    }),
    { numRuns: runs(500) },
  );
});

test('digits count by value and case by code unit', () => {
  const sorted = ['B', 'a', 'ch1', 'ch2', 'ch02', 'ch10', 'ch10a', 'ch123456789012345678901', 'é'];
  expect([...sorted].reverse().sort(compareNames)).toEqual(['B', 'a', 'ch1', 'ch02', 'ch2', ...sorted.slice(5)]);
});

const tree = {
  'b/2.txt': '2',
  'b/10.txt': '10',
  'b/deep/er/3.md': '3',
  'a.txt': 'a',
  'c.md': 'c',
  '.git/config': 'no',
  '.hidden.txt': 'no',
  'node_modules/x/index.txt': 'no',
  'b/node_modules/y.txt': 'no',
};

test('a folder gives its files in order, without hidden names and node_modules', async () => {
  const folder = temporaryFolder(tree);
  const files = await walkFolder(folder);
  expect(files.map((file) => relative(folder, file))).toEqual([
    'a.txt',
    'b/2.txt',
    'b/10.txt',
    'b/deep/er/3.md',
    'c.md',
  ]);
});

test('circles of symbolic links end, and each real file is given once', async () => {
  const folder = temporaryFolder({ 'a/x.txt': 'x', 'b/y.txt': 'y' });
  symlinkSync('..', join(folder, 'a', 'up'));
  symlinkSync('../a', join(folder, 'b', 'sideways'));
  symlinkSync('a/x.txt', join(folder, 'z.txt'));
  symlinkSync('nowhere', join(folder, 'dead'));
  symlinkSync('self', join(folder, 'self'));
  const files = await walkFolder(folder);
  expect(files.map((file) => relative(folder, file))).toEqual(['a/x.txt', 'b/y.txt']);
  expect((await expandGlob(`${folder}/**/*.txt`)).map((file) => relative(folder, file)).sort()).toHaveLength(2);
});

test.each<[string, string[]]>([
  ['*.txt', ['a.txt']],
  ['**/*.txt', ['a.txt', 'b/2.txt', 'b/10.txt']],
  ['b/*', ['b/2.txt', 'b/10.txt', 'b/deep/er/3.md']],
  ['**/*.md', ['c.md', 'b/deep/er/3.md']],
  ['b/**', ['b/2.txt', 'b/10.txt', 'b/deep/er/3.md']],
  ['b/**/er/*', ['b/deep/er/3.md']],
  ['?.{md,txt}', ['c.md', 'a.txt']],
  ['b/[0-9]*.txt', ['b/2.txt', 'b/10.txt']],
  ['{a.txt,b/../a.txt}', ['a.txt']],
  ['.hid*', ['.hidden.txt']],
  ['*.xyz', []],
  ['a.txt/*', []],
])('the pattern %s gives %j', async (pattern, expected) => {
  const folder = temporaryFolder(tree);
  const files = await expandGlob(join(folder, '/').concat(pattern));
  expect(files.map((file) => relative(folder, file))).toEqual(expected);
});
