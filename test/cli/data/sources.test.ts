import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { gunzipBytes, gunzipLimit } from '../../../packages/cli/src/data/gunzip.ts';
import { MOBY_DICK_BYTES } from '../../../packages/cli/src/data/moby-dick.ts';
import { loadDocuments, type SourceOptions } from '../../../packages/cli/src/data/sources.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function load(folder: string, sources: string[], options: SourceOptions = {}) {
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message.replaceAll(`${folder}/`, ''));
  const paths = sources.map((source) => (source === '-' ? source : join(folder, source)));
  try {
    const documents = await loadDocuments(paths, { ...options, warn });
    return {
      documents: documents.map(({ name, bytes }) => [name.replace(`${folder}/`, ''), text(bytes)]),
      bytes: documents.map(({ bytes }) => bytes),
      warnings,
      error: '',
    };
  } catch (error) {
    expect((error as Error).name).toBe('UserError');
    return { documents: [], bytes: [], warnings, error: (error as Error).message.replaceAll(folder, '.') };
  }
}

test('without --data there are the 135 chapters of Moby Dick in reading order', async () => {
  const documents = await loadDocuments([]);
  expect(documents).toHaveLength(135);
  expect(documents.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(MOBY_DICK_BYTES);
  expect(documents[0].name).toBe('Moby Dick, CHAPTER 1. Loomings.');
  expect(documents.map(({ name }) => Number(/CHAPTER (\d+)\./.exec(name)?.[1]))).toEqual(
    Array.from({ length: 135 }, (_, i) => i + 1),
  );
  expect(text(documents[0].bytes)).toMatch(/^CHAPTER 1\. Loomings\.\n\nCall me Ishmael\./);
});

test('files, folders, patterns and standard input come in the order given', async () => {
  const folder = temporaryFolder({ 'b.txt': 'B', 'a.txt': 'A', 'd/2.txt': '2', 'd/10.txt': '10' });
  const stdin = (async function* () {
    yield new Uint8Array([72]);
    yield 'i';
  })();
  const { documents, warnings } = await load(folder, ['b.txt', 'd', '-', '*.txt'], { stdin });
  expect(documents).toEqual([
    ['b.txt', 'B'],
    ['d/2.txt', '2'],
    ['d/10.txt', '10'],
    ['stdin', 'Hi'],
    ['a.txt', 'A'],
  ]);
  expect(warnings).toEqual(['b.txt is given twice; used once']);
});

test('bytes that are no text come through untouched', async () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const { bytes } = await load(temporaryFolder({ 'x.bin': all, 'y.bin.gz': gzipSync(all) }), ['x.bin', 'y.bin.gz']);
  expect(bytes).toEqual([all, all]);
});

test('.jsonl gives one document a line, also compressed, with the field asked for', async () => {
  const lines = '{"t":"one"}\n{"t":"two"}\n';
  const folder = temporaryFolder({ 'a.jsonl': lines, 'b.JSONL.GZ': gzipSync(lines) });
  const { documents } = await load(folder, ['a.jsonl', 'b.JSONL.GZ'], { textField: 't' });
  expect(documents.map(([, t]) => t)).toEqual(['one', 'two', 'one', 'two']);
  expect(documents.map(([name]) => name)).toEqual(['a.jsonl:1', 'a.jsonl:2', 'b.JSONL.GZ:1', 'b.JSONL.GZ:2']);
});

test('a path that exists is no pattern', async () => {
  const { documents } = await load(temporaryFolder({ 'a[1].txt': 'x[1]', 'a1.txt': 'x1' }), ['a[1].txt']);
  expect(documents).toEqual([['a[1].txt', 'x[1]']]);
});

test('empty documents among others are dropped with a warning, many of them in few words', async () => {
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`d/${i}.txt`, '']));
  const { documents, warnings } = await load(temporaryFolder({ ...many, 'd/z.txt': 'zz' }), ['d']);
  expect(documents).toEqual([['d/z.txt', 'zz']]);
  expect(warnings).toEqual([
    ...[0, 1, 2].map((i) => `d/${i}.txt is empty (0 bytes); skipped`),
    '6 more empty documents were skipped',
  ]);
});

test('packed formats that are not unpacked are warned about', async () => {
  const { warnings } = await load(temporaryFolder({ 'a.zst': 'xx' }), ['a.zst']);
  expect(warnings[0]).toMatch(/a\.zst looks packed; its bytes are used as they are/);
});

test.each<[string, Record<string, string>, string[], SourceOptions, string]>([
  ['an empty file', { 'a.txt': '' }, ['a.txt'], { minBytes: 64 }, './a.txt is empty (0 bytes); give at least 64 bytes'],
  [
    'only empty files',
    { 'a.txt': '', 'b.txt': '' },
    ['a.txt', 'b.txt'],
    {},
    './a.txt, ./b.txt are empty (0 bytes); give at least 2 bytes',
  ],
  ['too little', { 'a.txt': 'x' }, ['a.txt'], {}, './a.txt is too short (1 byte); give at least 2 bytes'],
  ['empty .jsonl', { 'a.jsonl': '' }, ['a.jsonl'], {}, './a.jsonl is empty (0 bytes); give at least 2 bytes'],
  ['empty .gz', { 'a.gz': '' }, ['a.gz'], {}, './a.gz is empty (0 bytes); give at least 2 bytes'],
  [
    'a typing error',
    { 'moby.txt': 'x' },
    ['mobi.txt'],
    {},
    "cannot find './mobi.txt': there is no 'mobi.txt' in '.' (did you mean 'moby.txt'?)",
  ],
  [
    'a typing error in a folder',
    { 'data/x/a.txt': 'x' },
    ['dta/x/a.txt'],
    {},
    "cannot find './dta/x/a.txt': there is no 'dta' in '.' (did you mean 'data'?)",
  ],
  ['nothing like it', { 'moby.txt': 'x' }, ['zebra'], {}, "cannot find './zebra': there is no 'zebra' in '.'"],
  ['a pattern without matches', { 'a.txt': 'x' }, ['*.md'], {}, "no file matches './*.md'"],
  [
    'a folder without files',
    { 'd/.hidden': 'x' },
    ['d'],
    {},
    "the folder './d' holds no files (hidden names and node_modules are skipped); name the files",
  ],
  [
    'a file taken for a folder',
    { 'a.txt': 'x' },
    ['a.txt/b'],
    {},
    "cannot find './a.txt/b': there is no 'b' in './a.txt'",
  ],
  [
    'no gzip',
    { 'a.gz': 'plain' },
    ['a.gz'],
    {},
    './a.gz is not gzip data (it does not start with the bytes 1f 8b); rename it if it is not compressed',
  ],
  [
    'too many alternatives',
    { 'a.txt': 'x' },
    ['{a,b}'.repeat(30)],
    {},
    `cannot use the pattern './${'{a,b}'.repeat(30)}': its braces stand for more than 1024 patterns`,
  ],
])('%s is one clear sentence', async (_, files, sources, options, message) => {
  expect((await load(temporaryFolder(files), sources, options)).error).toBe(message);
});

test('empty standard input, and standard input twice, are errors', async () => {
  const stdin = (async function* () {})();
  expect((await load('nowhere', ['-'], { stdin })).error).toBe(
    'standard input is empty (0 bytes); give at least 2 bytes',
  );
  await expect(loadDocuments(['-', '-'], { stdin: (async function* () {})() })).rejects.toThrow(/can be read once/);
});

test('a path that cannot be read says why', async () => {
  const folder = temporaryFolder();
  symlinkSync('loop', join(folder, 'loop'));
  expect((await load(folder, ['loop'])).error).toBe('cannot read ./loop: its symbolic links go round in a circle');
});

test.skipIf(process.platform === 'win32')('a pipe is read to its end', async () => {
  const folder = temporaryFolder();
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const writer = import('node:fs/promises').then((fs) => fs.writeFile(pipe, 'through the pipe'));
  const [document] = await loadDocuments([pipe]);
  await writer;
  expect(text(document.bytes)).toBe('through the pipe');
});

test('a .gz that is damaged, cut short or grows past the limit is refused by name', async () => {
  const packed = gzipSync('x'.repeat(10_000));
  await expect(gunzipBytes(packed.subarray(0, packed.length - 9), 'a.gz')).rejects.toThrow(
    /^a\.gz is damaged or cut short/,
  );
  const flipped = Uint8Array.from(packed, (byte, i) => (i === packed.length - 6 ? byte ^ 1 : byte));
  await expect(gunzipBytes(flipped, 'a.gz')).rejects.toThrow(/^a\.gz is damaged/);
  await expect(gunzipBytes(packed, 'a.gz', 9_999)).rejects.toThrow(
    /^a\.gz \(\d+ B\) decompresses to more than 10\.0 kB; if that is meant, decompress it yourself/,
  );
  expect(await gunzipBytes(packed, 'a.gz', 10_000)).toHaveLength(10_000);
});

test('several gzip members end to end are one document', async () => {
  const both = Buffer.concat([gzipSync('one '), gzipSync('two')]);
  expect(text(await gunzipBytes(both, 'a.gz'))).toBe('one two');
});

test('the limit on decompressed bytes is 200 times the file, within 256 MiB and 4 GiB', () => {
  expect(gunzipLimit(1)).toBe(256 * 1024 ** 2);
  expect(gunzipLimit(2 * 1024 ** 2)).toBe(400 * 1024 ** 2);
  expect(gunzipLimit(1e12)).toBeLessThanOrEqual(4 * 1024 ** 3);
});
