import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expandGlob, type FoundFile, type OnSkipped, walkFolder } from '../../../packages/cli/src/data/walk.ts';
import { compareNames } from '../../../packages/cli/src/files/name-order.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const names = (folder: string, files: readonly FoundFile[]): string[] =>
  files.map(({ path }) => relative(folder, String(path)));

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
  expect(names(folder, files)).toEqual(['a.txt', 'b/2.txt', 'b/10.txt', 'b/deep/er/3.md', 'c.md']);
});

test('runs that are come across are left out and told of; what only looks like one, or is named, is read', async () => {
  const record = JSON.stringify({ format: 1, dataHash: 'abc', plan: {} });
  const run = { 'config.json': record, 'metrics.jsonl': '{}', 'step-000010/model.safetensors': 'weights' };
  const folder = temporaryFolder({
    'a.txt': 'a',
    'like/config.json': '{"format": 1}',
    'like/data.jsonl': '{}',
    'like/step-000010/x.txt': 'x',
    ...Object.fromEntries(Object.entries(run).map(([file, text]) => [`runs/one/${file}`, text])),
  });
  const skipped: string[] = [];
  const note: OnSkipped = (kind, path) => void skipped.push(`${kind} ${relative(folder, String(path))}`);
  const text = ['a.txt', 'like/config.json', 'like/data.jsonl', 'like/step-000010/x.txt'];
  expect(names(folder, await walkFolder(folder, note))).toEqual(text);
  expect(names(folder, await expandGlob(`${folder}/**/*`, note)).sort()).toEqual(text);
  expect(names(folder, await expandGlob(`${folder}/*`, note))).toEqual(text);
  expect(new Set(skipped)).toEqual(new Set(['run runs/one']));
  expect(names(folder, await expandGlob(`${folder}/runs/*/metrics.jsonl`))).toEqual(['runs/one/metrics.jsonl']);
  expect(await walkFolder(join(folder, 'runs/one'))).toHaveLength(3);
});

test('circles of symbolic links end, and each real file is given once', async () => {
  const folder = temporaryFolder({ 'a/x.txt': 'x', 'b/y.txt': 'y' });
  symlinkSync('..', join(folder, 'a', 'up'));
  symlinkSync('../a', join(folder, 'b', 'sideways'));
  symlinkSync('a/x.txt', join(folder, 'z.txt'));
  symlinkSync('nowhere', join(folder, 'dead'));
  symlinkSync('self', join(folder, 'self'));
  const skipped: string[] = [];
  const note: OnSkipped = (kind, path) => void skipped.push(`${kind} ${relative(folder, String(path))}`);
  const files = await walkFolder(folder, note);
  expect(names(folder, files)).toEqual(['a/x.txt', 'b/y.txt']);
  expect(names(folder, await expandGlob(`${folder}/**/*.txt`))).toHaveLength(2);
  expect(skipped.sort()).toEqual(['dead link dead', 'dead link self']);
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
  expect(names(folder, files)).toEqual(expected);
});

// With `pnpm test:slow` as many as overflow the stack when they are given as arguments of a call; the lint rule forbids that anyway.
const MANY = process.env.BLT_SLOW ? 150_000 : 5_000;

test(`a subfolder of ${MANY} files, by folder and by pattern`, async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'many'));
  for (let i = 0; i < MANY; i++) writeFileSync(join(folder, 'many', `${i}.txt`), '');
  expect(await walkFolder(folder)).toHaveLength(MANY);
  expect(await expandGlob(`${folder}/**/*.txt`)).toHaveLength(MANY);
  expect(names(folder, (await expandGlob(`${folder}/*/1?.txt`)).slice(0, 3))).toEqual([
    'many/10.txt',
    'many/11.txt',
    'many/12.txt',
  ]);
});

test.skipIf(process.platform !== 'linux')(
  'names that are not UTF-8 are found, in folders of such names too',
  async () => {
    const folder = temporaryFolder({ 'b.txt': 'b' });
    const path = (name: string) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);
    writeFileSync(path('caf\xe9.txt'), 'e');
    writeFileSync(path('caf\xe8.txt'), 'e');
    mkdirSync(path('d\xff'));
    writeFileSync(path('d\xff/a.txt'), 'a');
    const found = async (files: Promise<FoundFile[]>) =>
      (await files).map((file) =>
        Buffer.from(file.path)
          .toString('latin1')
          .slice(folder.length + 1),
      );
    expect(await found(walkFolder(folder))).toEqual(['b.txt', 'caf\xe8.txt', 'caf\xe9.txt', 'd\xff/a.txt']);
    expect(await found(expandGlob(`${folder}/caf?.txt`))).toEqual(['caf\xe8.txt', 'caf\xe9.txt']);
    expect(await found(expandGlob(`${folder}/**/a.txt`))).toEqual(['d\xff/a.txt']);
  },
);

test.skipIf(process.platform === 'win32')('a walk passes over pipes and devices, and says so', async () => {
  const folder = temporaryFolder({ 'a.txt': 'a' });
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  symlinkSync('/dev/zero', join(folder, 'zero'));
  const skipped: string[] = [];
  const files = await walkFolder(folder, (kind, path) => void skipped.push(`${kind} ${basename(String(path))}`));
  expect(names(folder, files)).toEqual(['a.txt']);
  expect(skipped.sort()).toEqual(['special pipe', 'special zero']);
});
