/** @file `blt score` as it is called: a model of letters and one of digits, each trained for a moment. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scoreCommand } from '../../../packages/cli/src/commands/score.ts';
import { BLT, blt } from '../../support/command.ts';

// biome-ignore format: flags and their values
const TINY = [
  '--local-width', '16', '--local-heads', '2', '--decoder-layers', '1', '--global-width', '16', '--global-heads', '2',
  '--global-layers', '1', '--hash-sizes', '3', '--hash-vocab', '64', '--entropy-width', '8', '--entropy-heads', '1',
  '--entropy-layers', '1', '--entropy-steps', '5', '--row-bytes', '64', '--batch-size', '2', '--eval-every', '0', '--steps', '40',
];
const WORDS = 'it was the best of times, it was the worst of times\n';
const DIGITS = '192.168.0.17 5042 200\n10.0.3.254 8080 404\n';

const folder = mkdtempSync(join(tmpdir(), 'blt-score-'));
const path = (...parts: string[]): string => join(folder, ...parts);
beforeAll(() => {
  writeFileSync(path('words.txt'), WORDS.repeat(60));
  writeFileSync(path('digits.txt'), DIGITS.repeat(80));
  writeFileSync(path('mixed.txt'), `${WORDS}192.168.3.17 8080 200\nwas it the worst of times\n`);
  for (const [name, memory] of [
    ['words', 'on'],
    ['digits', 'off'],
  ]) {
    expect(blt(folder, ['train', '--data', `${name}.txt`, ...TINY, '--run', name, '--memory', memory]).code).toBe(0);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MODELS = ['-m', 'runs/words', '-m', 'runs/digits'];
const json = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('the model that a line comes from is named, and its figures stand at the top', () => {
  const { code, stdout, stderr } = blt(folder, ['score', 'mixed.txt', '--per', 'line', ...MODELS, '--json']);
  expect(code).toBe(0);
  const lines = json(stdout);
  expect(lines.map(({ best }) => best)).toEqual(['runs/words', 'runs/digits', 'runs/words']);
  expect(lines.map(({ text }) => text)).toEqual(readFileSync(path('mixed.txt'), 'utf8').trim().split('\n'));
  for (const { best, bits, bytes, bits_per_byte, models } of lines) {
    expect(models.find(({ model }: { model: string }) => model === best).bits).toBe(bits);
    expect(bits_per_byte).toBeCloseTo(bits / bytes, 3);
  }
  expect(stderr).toContain('runs/words');
});

test('standard input gives the lines of the file, and the most surprising come first', () => {
  const whole = blt(folder, ['score', 'mixed.txt', '--per', 'line', '-m', 'runs/words', '--json']);
  const piped = blt(
    folder,
    ['score', '-', '--per', 'line', '-m', 'runs/words', '--json'],
    readFileSync(path('mixed.txt')),
  );
  expect(json(piped.stdout)).toEqual(json(whole.stdout).map((line) => ({ ...line, source: 'stdin' })));
  const { stdout } = blt(folder, [
    'score',
    'mixed.txt',
    '--per',
    'line',
    '-m',
    'runs/words',
    '--top',
    '1',
    '--tsv',
    '-q',
  ]);
  const [header, first, ...rest] = stdout.trimEnd().split('\n');
  expect(header).toBe('source\tline\tbytes\tbits\tbits_per_byte\tpatch_bytes\ttext');
  expect(first.split('\t').slice(0, 2)).toEqual(['mixed.txt', '2']);
  expect(rest).toEqual([]);
});

test('the bits of bytes add up to those of the file', () => {
  const file = json(blt(folder, ['score', 'mixed.txt', '-m', 'runs/words', '--json']).stdout)[0];
  const table = blt(folder, ['score', 'mixed.txt', '-m', 'runs/words', '--per', 'byte']).stdout.trimEnd().split('\n');
  expect(table[0]).toBe('source\tat\tbyte\tshown\tbits\tentropy_nats\tstarts_patch');
  const rows = table.slice(1).map((row) => row.split('\t'));
  expect(Buffer.from(rows.map((row) => Number(row[2]))).toString()).toBe(readFileSync(path('mixed.txt'), 'utf8'));
  expect(rows.reduce((sum, row) => sum + Number(row[4]), 0)).toBeCloseTo(file.bits, 1);
  const patches = rows.filter((row) => row[6] === '1').length;
  expect(rows.length / patches).toBeCloseTo(file.patch_size_mean, 2);
});

test('the memory of the training text is mixed in where it is asked for', () => {
  const words = ['score', 'mixed.txt', '--per', 'line', '-m', 'runs/words', '--json'];
  const [alone, mixed] = [words, [...words, '--memory']].map((args) => json(blt(folder, args).stdout));
  // It has read this line sixty times, and a model of forty steps has not learnt it.
  expect(mixed[0].bits).toBeLessThan(alone[0].bits / 2);
  const none = blt(folder, ['score', 'mixed.txt', '-m', 'runs/digits', '--memory']);
  expect(none.code).toBe(2);
  expect(none.stderr).toContain(
    'memory.safetensors; a run gets one when it ends, unless it was trained with --memory off',
  );
});

test('expected lines are kept in a new folder', () => {
  const args = ['score', 'mixed.txt', '--per', 'line', '-m', 'runs/words', '--out', 'kept', '--keep-below'];
  const bits = json(blt(folder, ['score', 'mixed.txt', '--per', 'line', '-m', 'runs/words', '--json']).stdout).map(
    (line) => line.bits_per_byte as number,
  );
  const limit = String((bits[1] + Math.max(bits[0], bits[2])) / 2);
  const { code, stderr } = blt(folder, [...args, limit]);
  expect({ code, kept: /^kept 2 of 3 \(.*\), 78 B, in kept$/m.test(stderr) }).toEqual({ code: 0, kept: true });
  expect(readFileSync(path('kept/mixed.txt'), 'utf8')).toBe(`${WORDS}was it the worst of times\n`);
  const again = blt(folder, [...args, limit]);
  expect({ code: again.code, stderr: again.stderr }).toEqual({
    code: 2,
    stderr: 'blt: kept exists already; give a new folder with --out\n',
  });
});

test('the page shows each byte with its bits, and text as text', () => {
  writeFileSync(path('markup.txt'), '<b>&\n');
  expect(blt(folder, ['score', 'markup.txt', '-m', 'runs/words', '--html', 'page.html']).code).toBe(0);
  const page = readFileSync(path('page.html'), 'utf8');
  expect(page.match(/class="[^"]*heat" style="--heat:[\d.]+" title="byte \d+: [^"]* bits/g)).toHaveLength(5);
  expect(page).toContain('<u>&lt;</u>');
  expect(page).not.toMatch(/NaN|undefined|<script/);
});

const flags = { per: 'line', minBytes: 0 } as const;
test.each([
  [[], {}, 'nothing to score: give a file, or "-" for standard input'],
  [['a'], { json: true, tsv: true }, '--json and --tsv: give one of them'],
  [['a'], { keepBelow: 2 }, '--keep-below needs a new folder: --out DIR'],
  [['a'], { out: 'never' }, '--out is for --keep-below BITS; give both'],
  [['a'], { per: 'byte', top: 3 }, '--top chooses files or lines'],
  [['a'], { top: 3, keepBelow: 2, out: 'never' }, '--keep-below writes what is expected'],
  [['a'], { model: ['m', 'm'] }, '--model m is given twice'],
  [['a'], { html: 'nowhere/x.html' }, 'cannot write nowhere/x.html: there is no folder nowhere; make it first'],
  [['a'], { model: ['m', 'n'], html: 'x.html' }, '--html shows one model, and 2 are given'],
] as const)('%j with %j is refused before a model is read', async (files, given, message) => {
  await expect(scoreCommand(files, { ...flags, ...given })).rejects.toThrow(message);
});

test.each([[[]], [['--per', 'line']]])(
  'of several files those that cannot be read are named, and the others scored (%j)',
  (flags) => {
    const args = ['mixed.txt', 'none.txt', 'words.txt', '-m', 'runs/words', '--json'];
    const { code, stdout, stderr } = blt(folder, ['score', ...args, ...flags]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^blt: cannot find 'none\.txt': there is no 'none\.txt' here/m);
    expect([...new Set(json(stdout).map(({ source }) => source))]).toEqual(['mixed.txt', 'words.txt']);
    const none = blt(folder, ['score', 'none.txt', 'neither.txt', '-m', 'runs/words', '--tsv', ...flags]);
    expect({ ...none, stderr: none.stderr.match(/^blt: cannot find/gm)?.length }).toEqual({
      code: 1,
      stdout: '',
      stderr: 2,
    });
  },
);

test('of a folder too, whose other files are scored; what is kept is kept whole or not at all', () => {
  mkdirSync(path('corpus'));
  for (const name of ['a.txt', 'z.txt']) writeFileSync(path('corpus', name), WORDS);
  writeFileSync(path('corpus', 'm.jsonl'), '{"text": ');
  const { code, stdout, stderr } = blt(folder, ['score', 'corpus', '-m', 'runs/words', '--json']);
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('m.jsonl') });
  expect(json(stdout).map(({ source }) => source)).toEqual(['corpus/a.txt', 'corpus/z.txt']);
  for (const files of [['corpus'], ['none.txt', 'neither.txt']]) {
    const kept = blt(folder, ['score', ...files, '-m', 'runs/words', '--keep-below', '8', '--out', 'not-kept']);
    expect(kept.code).toBe(1);
    expect(readdirSync(folder).filter((name) => name.includes('not-kept'))).toEqual([]);
  }
  const page = blt(folder, ['score', 'mixed.txt', '-m', 'runs/words', '--json', '--html', 'page.html']);
  expect(page).toMatchObject({ code: 2, stderr: expect.stringContaining('--html and --json: give one of them') });
});

test('a filter that is stopped leaves nothing', async () => {
  // Its standard input stays open.
  const child = spawn(
    process.execPath,
    [...[BLT, 'score', '-', '--per', 'line', '-m', 'runs/words', '--keep-below', '8', '--out', 'stopped']],
    { cwd: folder },
  );
  child.stdin.write(WORDS);
  const names = () => readdirSync(folder).filter((name) => name.includes('stopped'));
  while (names().length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGINT');
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await once(child, 'close');
  expect({ signal: child.signalCode, names: names(), said: /stopped by SIGINT: nothing was kept/.test(said) }).toEqual({
    ...{ signal: 'SIGINT', names: [], said: true },
  });
});

test('a filter is stopped while it computes too, and leaves nothing', async () => {
  writeFileSync(path('long.txt'), WORDS.repeat(8000));
  const args = ['long.txt', '--per', 'line', '-m', 'runs/words', '--keep-below', '8', '--out', 'cut-short', '--tsv'];
  const child = spawn(process.execPath, [BLT, 'score', ...args], { cwd: folder });
  // Lines of the first group are there, so it is computing.
  child.stdout.on('data', () => child.kill('SIGINT'));
  await once(child, 'close');
  const names = readdirSync(folder).filter((name) => name.includes('cut-short'));
  expect({ signal: child.signalCode, names }).toEqual({ signal: 'SIGINT', names: [] });
});

test.each([
  ['score', ['long.txt', '--per', 'line', '--tsv']],
  ['generate', ['--max-bytes', '100000000', '--ignore-eos', '--no-memory']],
])('%s ends when nobody reads what it writes', async (command, args) => {
  writeFileSync(path('long.txt'), WORDS.repeat(8000));
  const child = spawn(process.execPath, [BLT, command, ...args, '-m', 'runs/words', '--this-node'], { cwd: folder });
  let texts = '';
  child.stderr.on('data', (chunk: Buffer) => {
    texts += chunk;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  try {
    await once(child, 'exit');
  } finally {
    child.kill('SIGKILL');
  }
  // A whole score would end with its totals.
  expect({ code: child.exitCode, whole: /lines, .* bits per byte/.test(texts) }).toEqual({ code: 0, whole: false });
});

test('a circle of links among the files is complained of, and the others are scored', () => {
  symlinkSync('circle', path('circle'));
  const { code, stdout, stderr } = blt(folder, ['score', 'circle', 'mixed.txt', '-m', 'runs/words', '--json']);
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('links go round in a circle') });
  expect(json(stdout).map(({ source }) => source)).toEqual(['mixed.txt']);
});

test('an empty file among others is passed over, line by line too', () => {
  writeFileSync(path('empty.txt'), '');
  for (const flags of [[], ['--per', 'line']]) {
    const { code, stderr } = blt(folder, ['score', 'mixed.txt', 'empty.txt', '-m', 'runs/words', ...flags]);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('empty.txt is empty') });
  }
});

test('patch names those of several files that cannot be read, and cuts the others', () => {
  const { code, stdout, stderr } = blt(folder, ['patch', 'none.txt', 'mixed.txt', '--mode', 'space', '--json']);
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("cannot find 'none.txt'") });
  expect(json(stdout).map(({ source }) => source)).toEqual(['mixed.txt']);
});

test('patch cuts at least one byte', () => {
  const { code, stderr } = blt(folder, ['patch', 'mixed.txt', '--mode', 'space', '--max-bytes', '0']);
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--max-bytes') });
});

test('a file that is not there is said in one sentence, and nothing is left', () => {
  const args = ['none.txt', '-m', 'runs/words', '--keep-below', '2', '--out', 'never', '-q'];
  const { code, stdout, stderr } = blt(folder, ['score', ...args]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^blt: cannot find 'none\.txt'[^\n]*\n$/);
  expect(existsSync(path('never')) || readdirSync(folder).some((name) => name.includes('.tmp-'))).toBe(false);
});
