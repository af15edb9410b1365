import { execFileSync } from 'node:child_process';
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { expect, test } from 'vitest';
import { gunzipBytes, gunzipLimit, gunzipStart } from '../../../packages/cli/src/data/gunzip.ts';
import { loadDocuments, type SourceOptions } from '../../../packages/cli/src/data/sources.ts';
import { tar, tarEntry } from '../../support/tar-archive.ts';
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
  expect(documents.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(1_192_750);
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

const hollow = {
  'hidden.tar': tar(tarEntry('.hidden', 'no'), tarEntry('node_modules/x', 'no')),
  'blank.jsonl.gz': gzipSync('\n \n'),
  'rows.parquet': new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data: [], type: 'STRING' }] })),
};
const SAID = {
  'hidden.tar': 'hidden.tar holds no files to read (hidden names and node_modules are skipped)',
  'blank.jsonl.gz': 'blank.jsonl.gz holds nothing but blank lines',
  'rows.parquet': 'rows.parquet has no rows',
};

test.each(Object.entries(SAID))('%s holds no documents, which is said in its place', async (name, said) => {
  const folder = temporaryFolder({ ...hollow, 'a.txt': 'aa', 'empty.txt': '' });
  const { documents, warnings } = await load(folder, ['a.txt', name]);
  expect([documents, warnings]).toEqual([[['a.txt', 'aa']], [`${said}; skipped`]]);
  for (const sources of [[name], ['empty.txt', name]]) {
    expect((await load(folder, sources)).error).toBe(`./${said}; give data with texts in them`);
  }
});

const zstd = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 4, 0);
const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const xz = latin1('\xfd7zXZ\0rest');

test.each<[name: string, contents: Uint8Array | string, says: RegExp]>([
  ['a.txt.xz', xz, /a\.txt\.xz is xz data, .*xz -dc \S+a\.txt\.xz \| blt \.\.\. -.*or add --raw/],
  ['a.jsonl.xz', xz, /is xz data.*: unpack it \(xz -d \S+a\.jsonl\.xz\) and give what comes out/],
  ['known by its name alone.xz', 'xx', /xz data/],
  ['no name.txt', zstd, /no name\.txt is zstd data.*give it the name \S+no name\.txt\.zst, and it is unpacked/],
  ['a.xz', xz, /xz data.*xz -dc/],
  ['a', latin1('BZh91AY&SYrest'), /bzip2 data/],
  ['a.docx', latin1('PK\x03\x04rest'), /zip archive.*unzip/],
  ['a.bin', latin1("7z\xbc\xaf'\x1crest"), /7z archive/],
  ['a.bin', latin1('Rar!\x1a\x07\x01\0'), /rar archive/],
  ['a.bin', 'PAR1 the columns PAR1', /Parquet.*give it the name \S+a\.bin\.parquet/],
  ['a.arrow', latin1('ARROW1\0\0rest'), /Arrow/],
  ['a.bin', gzipSync('packed'), /a\.bin is gzip data.*give it the name \S+a\.bin\.gz/],
  ['a.gz', gzipSync(gzipSync('packed')), /a\.gz holds gzip data, .*unpack it all yourself/],
  ['a.gz.gz', gzipSync(gzipSync('packed')), /compressed twice/],
  ['a.txt.gz', gzipSync(zstd), /a\.txt\.gz holds zstd data/],
  ['a.tar', tar(tarEntry('b.zip', 'x')), /a\.tar:b\.zip is a zip archive/],
  ['a.tar.xz', xz, /unpack it \(xz -d/],
])('%s is packed: refused, unless its bytes are asked for', async (name, contents, says) => {
  const folder = temporaryFolder({ [name]: contents });
  const { error } = await load(folder, [name]);
  expect(error).toMatch(says);
  expect(error.split('\n')).toHaveLength(1);
  expect((await load(folder, [name], { raw: true })).bytes).toEqual([new Uint8Array(Buffer.from(contents))]);
});

test('text that begins like a packed format is text', async () => {
  for (const text of ['PK is short for park', 'BZh9 is no magic', 'PAR1 is a name', 'Rar! it said', '7z']) {
    expect((await load(temporaryFolder({ 'a.txt': text }), ['a.txt'])).documents).toEqual([['a.txt', text]]);
  }
});

test('a packed file in a folder: the way out is a pattern', async () => {
  const { error } = await load(temporaryFolder({ 'd/a.txt': 'text', 'd/b.zip': 'PK\x03\x04' }), ['d']);
  expect(error).toMatch(/d\/b\.zip is a zip archive.*or leave it out with a pattern; or add --raw/);
});

test('packed standard input is refused too', async () => {
  const stdin = (async function* () {
    yield new Uint8Array(gzipSync('x'));
  })();
  expect((await load('nowhere', ['-'], { stdin })).error).toMatch(/stdin is gzip data.*unpack it in the pipe/);
});

test('a tar archive gives its files as the folder would, also compressed', async () => {
  const archive = tar(
    tarEntry('./b/10.txt', 'ten'),
    tarEntry('./b/2.txt', 'two'),
    tarEntry('a.jsonl', '{"text":"x"}\n{"text":"y"}\n'),
    tarEntry('c.txt.gz', gzipSync('packed')),
    tarEntry('.git/config', 'no'),
    tarEntry('b/node_modules/x.txt', 'no'),
    tarEntry('b/._2.txt', 'no'),
    tarEntry('folder/', '', '5'),
    tarEntry('link', '', '2', '/etc/passwd'),
    tarEntry('../up.txt', 'only a name'),
    tarEntry('twice.txt', 'first'),
    tarEntry('twice.txt', 'last'),
  );
  const folder = temporaryFolder({ 'x.tar': archive, 'x.tar.gz': gzipSync(archive), 'x.tgz': gzipSync(archive) });
  for (const name of ['x.tar', 'x.tar.gz', 'x.tgz']) {
    const { documents, error } = await load(folder, [name]);
    expect(error).toBe('');
    expect(documents).toEqual([
      [`${name}:../up.txt`, 'only a name'],
      [`${name}:a.jsonl:1`, 'x'],
      [`${name}:a.jsonl:2`, 'y'],
      [`${name}:b/2.txt`, 'two'],
      [`${name}:b/10.txt`, 'ten'],
      [`${name}:c.txt.gz`, 'packed'],
      [`${name}:twice.txt`, 'last'],
    ]);
  }
  expect((await load(folder, ['x.tar'], { raw: true })).bytes).toEqual([new Uint8Array(archive)]);
});

test.each<[string, Uint8Array, SourceOptions, RegExp]>([
  ['no tar', Buffer.from('plain text'), {}, /x\.tar is damaged or no tar archive/],
  ['cut short', tar(tarEntry('a', 'x'.repeat(5000))).subarray(0, 3000), {}, /x\.tar is damaged.*Truncated/],
  ['a flipped bit', tar(tarEntry('a', 'x')).map((b, i) => (i === 3 ? b ^ 1 : b)), {}, /x\.tar is damaged.*checksum/],
  ['gzip', gzipSync(tar(tarEntry('a', 'x'))), {}, /x\.tar is no tar archive but packed twice/],
  [
    'an archive in it',
    tar(tarEntry('y.tar', tar(tarEntry('a', 'x')))),
    {},
    /x\.tar:y\.tar is an archive in an archive/,
  ],
  [
    'bombs in it',
    tar(...[1, 2, 3].map((i) => tarEntry(`${i}.gz`, gzipSync(Buffer.alloc(4000))))),
    { maxGunzipBytes: 10_000 },
    /x\.tar:3\.gz .*decompresses to more than 2\.00 kB/,
  ],
])('an archive that is %s is refused', async (_, bytes, options, says) => {
  expect((await load(temporaryFolder({ 'x.tar': bytes }), ['x.tar'], options)).error).toMatch(says);
});

test('150,000 lines of JSON are as many documents', async () => {
  // As many as overflow the stack when they are given as arguments of a call.
  const { documents } = await load(temporaryFolder({ 'a.jsonl': '"ab"\n'.repeat(150_000) }), ['a.jsonl']);
  expect(documents).toHaveLength(150_000);
  expect(documents.at(-1)).toEqual(['a.jsonl:150000', 'ab']);
});

test('what was given twice is named a few times, not by the thousand', async () => {
  const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`d/${i}.txt`, 'x']));
  const { warnings } = await load(temporaryFolder(files), ['d', 'd/*.txt']);
  expect(warnings).toEqual([
    ...[0, 1, 2].map((i) => `d/${i}.txt is given twice; used once`),
    '47 more files were given twice; used once',
  ]);
});

test.skipIf(process.platform !== 'linux')(
  'a file whose name is not UTF-8 is read, and named by its bytes',
  async () => {
    const folder = temporaryFolder({ 'd/b.txt': 'b' });
    writeFileSync(Buffer.from(`${folder}/d/caf\xe9.txt`, 'latin1'), 'coffee');
    const expected = [
      ['d/b.txt', 'b'],
      ['d/caf\\xe9.txt', 'coffee'],
    ];
    expect((await load(folder, ['d'])).documents).toEqual(expected);
    expect((await load(folder, ['d/*'])).documents).toEqual(expected);
    expect((await load(folder, ['d/caf\ufffd.txt'])).error).toMatch(
      /not UTF-8 cannot be given; give its folder, or a pattern/,
    );
  },
);

test('a dead link in a folder is told of', async () => {
  const folder = temporaryFolder({ 'd/a.txt': 'text' });
  symlinkSync('nowhere', join(folder, 'd/b.txt'));
  expect((await load(folder, ['d'])).warnings).toEqual(['d/b.txt is a link that leads nowhere; skipped']);
});

test('UTF-16 is used, with a warning', async () => {
  const { warnings, bytes } = await load(temporaryFolder({ 'a.txt': Buffer.from('\ufeffab', 'utf16le') }), ['a.txt']);
  expect(bytes[0]).toHaveLength(6);
  expect(warnings).toEqual([expect.stringMatching(/^a\.txt looks like UTF-16.*iconv -f UTF-16 -t UTF-8$/)]);
});

test('only the bytes that are enough are read: of a large file, a stream without end, a .gz', async () => {
  const folder = temporaryFolder({ 'large.bin': 'begin', 'a.gz': gzipSync('0123456789'), 'b.jsonl': '"0123456789"\n' });
  truncateSync(join(folder, 'large.bin'), 5e9);
  const options: SourceOptions = { maxBytes: 8, minBytes: 1 };
  const endless = (async function* () {
    for (;;) yield 'y\n';
  })();
  const documents = await loadDocuments(
    ['large.bin', 'a.gz', 'b.jsonl'].map((name) => join(folder, name)).concat('-'),
    { ...options, stdin: endless },
  );
  expect(documents.map(({ bytes, cutFrom }) => [text(bytes), cutFrom])).toEqual([
    ['begin\0\0\0', 5e9],
    ['01234567', null],
    ['01234567', 10],
    ['y\ny\ny\ny\n', null],
  ]);
  const [whole] = await loadDocuments([join(folder, 'a.gz')], { maxBytes: 10 });
  expect(whole).toEqual({ name: join(folder, 'a.gz'), bytes: new Uint8Array(latin1('0123456789')) });
});

test.skipIf(process.platform !== 'linux')(
  'what never ends is refused: a device by name, a stream by its length',
  async () => {
    await expect(loadDocuments(['/dev/zero'])).rejects.toThrow(
      /^\/dev\/zero is a device, which may never end; pipe a part/,
    );
    const [zeros] = await loadDocuments(['/dev/zero'], { maxBytes: 100_000 });
    expect(zeros.bytes).toHaveLength(100_000);
    const endless = (async function* () {
      for (;;) yield 'y\n';
    })();
    const stopped = load('nowhere', ['-'], { stdin: endless, maxStreamBytes: 10_000 });
    expect((await stopped).error).toMatch(/^standard input goes on after 10\.0 kB, the most that is read of a stream/);
  },
);

test('more than the memory there is, in many files', async () => {
  const folder = temporaryFolder({ 'a.txt': 'aaaa', 'b.txt': 'bbbb' });
  expect((await load(folder, ['*.txt'], { maxTotalBytes: 7 })).error).toMatch(/^the data have more than 7 B/);
});

test.skipIf(process.platform !== 'linux')('files of /proc say size 0 and are read', async () => {
  const [document] = await loadDocuments(['/proc/self/status']);
  expect(text(document.bytes)).toMatch(/^Name:/);
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
    "the folder './d' holds no files (hidden names, node_modules and runs are skipped); name the files",
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
  symlinkSync('gone', join(folder, 'dead'));
  expect((await load(folder, ['dead/a.txt'])).error).toBe(
    "cannot find './dead/a.txt': './dead' is a link to 'gone', which is not there",
  );
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
  const padded = Buffer.concat([gzipSync('one '), Buffer.alloc(512), gzipSync('two'), Buffer.alloc(9)]);
  expect(text(await gunzipBytes(padded, 'a.gz'))).toBe('one two');
  await expect(gunzipBytes(padded, 'a.gz', 6)).rejects.toThrow(/decompresses to more than 6 B/);
});

test.each([
  ['a damaged magic byte', [gzipSync('one '), gzipSync('two').fill(0x1e, 0, 1)]],
  ['the same behind padding', [gzipSync('one '), Buffer.alloc(512), gzipSync('two').fill(0x1e, 0, 1)]],
  ['a member cut short', [gzipSync('one '), gzipSync('two').subarray(0, 12)]],
  ['text', [gzipSync('one '), Buffer.from('text')]],
  ['text behind padding', [gzipSync('one '), Buffer.alloc(3), Buffer.from('text')]],
])('%s after a gzip member is no silent end', async (_, parts) => {
  await expect(gunzipBytes(Buffer.concat(parts), 'a.gz')).rejects.toThrow(
    /^a\.gz is damaged.*fetch or compress it again/,
  );
  await expect(gunzipStart(Buffer.concat(parts), 'a.gz', 1000)).rejects.toThrow(/^a\.gz is damaged/);
});

test('the limit on decompressed bytes is 200 times the file, within 256 MiB and 4 GiB', () => {
  expect(gunzipLimit(1)).toBe(256 * 1024 ** 2);
  expect(gunzipLimit(2 * 1024 ** 2)).toBe(400 * 1024 ** 2);
  expect(gunzipLimit(1e12)).toBeLessThanOrEqual(4 * 1024 ** 3);
});
