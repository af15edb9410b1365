/** @file How the commands read data: options that messages name, warnings, files without end. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { BLT, blt } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --patching-mode space --row-bytes 64 --batch-size 2 --steps 1 --backend wasm --threads 1 --run r'.split(
    ' ',
  );
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);
const CUT = ['patch', '--mode', 'space'];

test('patch --html: one page for all files', () => {
  const folder = temporaryFolder({ 'a.txt': 'one <two>', 'b.txt': 'three', 'c.txt': 'four' });
  expect(blt(folder, [...CUT, '--html', 'q.html', 'a.txt', 'b.txt', 'c.txt'])).toMatchObject({
    code: 0,
    stdout: 'wrote q.html\n',
    stderr: '',
  });
  const html = readFileSync(join(folder, 'q.html'), 'utf8');
  expect([...html.matchAll(/<h1>(.*?)<\/h1>/g)].map(([, title]) => title)).toEqual(
    ['a.txt', 'b.txt', 'c.txt'].map((name) => `Patches of ${name}`),
  );
  expect(html).toContain('<title>Patches of 3 documents</title>');
});

test('patch --max-bytes reads no more of a sparse file of 5 GB, of a .gz, of a text', () => {
  const folder = temporaryFolder({ 'large.bin': 'some words at the start', 'a.gz': gzipSync('words '.repeat(100)) });
  truncateSync(join(folder, 'large.bin'), 5e9);
  expect(blt(folder, [...CUT, '--max-bytes', '10', 'large.bin', 'a.gz'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('10 bytes'),
    stderr: 'large.bin: the first 10 bytes of 5000000000 (--max-bytes)\na.gz: the first 10 bytes (--max-bytes)\n',
  });
  expect(blt(folder, [...CUT, '--max-bytes', '3', '--text', 'abcdef']).stderr).toBe(
    'text: the first 3 bytes of 6 (--max-bytes)\n',
  );
});

test.skipIf(process.platform === 'win32')('patch --max-bytes ends although its standard input does not', async () => {
  const command = `yes | '${process.execPath}' '${BLT}' patch --mode space --max-bytes 100 --json -`;
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  expect(JSON.parse(stdout).bytes).toHaveLength(100);
  expect(stderr).toBe('stdin: the first 100 bytes (--max-bytes)\n');
});

test('eval and patch have the options that messages name, and show warnings', () => {
  const line = `${JSON.stringify({ instruction: 'do', output: TEXT })}\n`;
  const folder = temporaryFolder({ 'book.txt': TEXT, 'a.jsonl': line.repeat(2), 'a.xz': TEXT, 'd/a.txt': TEXT });
  symlinkSync('nowhere', join(folder, 'd/b.txt'));
  writeFileSync(join(folder, 'd/empty.txt'), '');
  const trained = blt(folder, ['train', ...TINY, '--data', 'book.txt']);
  expect(trained).toMatchObject({ code: 0, stderr: '' });
  const commands = { eval: (data: string) => ['eval', '--data', data], patch: (data: string) => [...CUT, data] };
  for (const [verb, command] of Object.entries(commands)) {
    const refused = blt(folder, command('a.jsonl'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/its fields: instruction, output\); name the field with --text-field\n$/);
    expect(blt(folder, [...command('a.jsonl'), '--text-field', 'output'])).toMatchObject({ code: 0 });
    const packed = blt(folder, command('a.xz'));
    expect(packed.code).toBe(1);
    expect(packed.stderr).toMatch(/^blt: a\.xz is xz data.*or add --raw to use its bytes as they are\n$/);
    expect(blt(folder, [...command('a.xz'), '--raw'])).toMatchObject({ code: 0 });
    const { stderr } = blt(folder, command('d'));
    const skipped =
      'warning: d/b.txt is a link that leads nowhere; skipped\nwarning: d/empty.txt is empty (0 bytes); skipped\n';
    // d/a.txt is book.txt under another name.
    const known =
      /^warning: the model was trained on 2\.84 kB of d\/a\.txt, so the figure says little of new text; .*\n$/;
    expect(stderr.slice(0, skipped.length)).toBe(skipped);
    expect(stderr.slice(skipped.length)).toMatch(verb === 'eval' ? known : /^$/);
  }
  expect(blt(folder, ['eval', '--raw'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--raw is for --data/),
  });
});

test('a run on raw bytes is evaluated and resumed on raw bytes', () => {
  const folder = temporaryFolder({ 'a.txt.gz': gzipSync(TEXT + Math.E.toString().repeat(20)), 'b.xz': TEXT });
  const data = ['--data', 'a.txt.gz', '--data', 'b.xz'];
  expect(blt(folder, ['train', ...TINY, ...data]).stderr).toMatch(/^blt: b\.xz is xz data/);
  expect(blt(folder, ['train', ...TINY, ...data, '--raw'])).toMatchObject({ code: 0, stderr: '' });
  expect(blt(folder, ['eval'])).toMatchObject({ code: 0 });
  const resumed = blt(folder, ['train', '--resume', 'runs/r']);
  expect(resumed).toMatchObject({ code: 0, stderr: '' });
});

test('trace --ids - takes a byte order mark, and answers what is no JSON in one sentence', () => {
  const folder = temporaryFolder({ 'book.txt': TEXT });
  expect(blt(folder, ['train', ...TINY, '--data', 'book.txt']).code).toBe(0);
  const trace = ['trace', '--ids', '-', '--out', 'out.safetensors'];
  const ids = JSON.stringify({ input_ids: [[1, 76, 77, 36, 80]] });
  expect(blt(folder, trace, `\ufeff${ids}`)).toMatchObject({ code: 0 });
  expect(blt(folder, trace, '{"input_ids":')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^blt: standard input \(--ids -\) is not JSON: .*\n$/),
  });
});

test.skipIf(process.platform === 'win32')('a device as data is refused at once', () => {
  expect(blt(temporaryFolder(), ['train', '--data', '/dev/zero', '--dry-run'])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^blt: \/dev\/zero is a device, which may never end; pipe a part of it: head -c/),
  });
});

test('a folder of deep folders, and links that go round', () => {
  const folder = temporaryFolder();
  const deep = Array.from({ length: 300 }, () => 'd').join('/');
  mkdirSync(join(folder, deep), { recursive: true });
  writeFileSync(join(folder, deep, 'a.txt'), 'deep down');
  symlinkSync(join(folder, 'd'), join(folder, deep, 'up'));
  expect(blt(folder, [...CUT, 'd'])).toMatchObject({ code: 0, stdout: expect.stringContaining('deep'), stderr: '' });
});
