/** @file `blt sweep`: the runs that a file asks for, what is refused, and that nothing is done twice. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseSweep } from '../../../packages/cli/src/sweep/sweep-file.ts';
import { flagsOf, prepareRuns } from '../../../packages/cli/src/sweep/sweep-queue.ts';
import { blt } from '../../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'blt-sweep-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a grid is every combination over the base, named by what differs', () => {
  const runs = parseSweep('[base.train]\nsteps = 5\n[grid]\nseed = [0, 1]\ntrain.lr = [1e-3, 3e-3]\n', 'rates.toml');
  expect(runs.map(({ name }) => name)).toEqual([
    'seed-0_lr-0.001',
    'seed-0_lr-0.003',
    'seed-1_lr-0.001',
    'seed-1_lr-0.003',
  ]);
  expect(runs[3]).toEqual({
    name: 'seed-1_lr-0.003',
    config: { seed: 1, train: { steps: 5, lr: 0.003 } },
    settings: { seed: '1', lr: '0.003' },
  });
});

test('a run that is resumed has the threads and the backend of its file again', () => {
  const [run] = parseSweep('[base]\nthreads = 2\nbackend = "wasm"\n[grid]\nseed = [1]\n', 's.toml');
  const [plain] = parseSweep('[grid]\nseed = [2]\n', 's.toml');
  for (const { name } of [run, plain]) {
    mkdirSync(join(folder, 'resumed', name), { recursive: true });
    writeFileSync(join(folder, 'resumed', name, 'config.json'), '{}');
  }
  const options = { folder: join(folder, 'resumed'), threads: 1 };
  const path = (name: string) => join(folder, 'resumed', name);
  expect(flagsOf(run, options)).toEqual(['--resume', path(run.name), '--threads', '2', '--backend', 'wasm']);
  expect(flagsOf(plain, options)).toEqual(['--resume', path(plain.name), '--threads', '1']);
});

test('a list is its runs, with their own names where they give one', () => {
  const text = '[base]\nseed = 3\n[[run]]\nrun = "plain"\n[[run]]\npatcher.patch_size = 6\nentropy_model.steps = 9\n';
  const runs = parseSweep(text, 's.toml');
  expect(runs.map(({ name, settings }) => [name, settings])).toEqual([
    ['plain', { 'patch-size': 'default', 'entropy-steps': 'default' }],
    ['patch-size-6_entropy-steps-9', { 'patch-size': '6', 'entropy-steps': '9' }],
  ]);
});

test.each([
  ['[base]\ndata = "a.txt"\n[grid]\ndata.held_out_fraction = [0.1, 0.2]\n', { data: 'a.txt', held_out_fraction: 0.2 }],
  [
    '[base]\ndata = ["a.txt", "b.txt"]\n[[run]]\n[[run]]\ndata.split = "tails"\n',
    { data: ['a.txt', 'b.txt'], split: 'tails' },
  ],
  [
    '[base.data]\nheld_out_fraction = 0.2\n[grid]\ndata = ["a.txt", "b.txt"]\n',
    { data: 'b.txt', held_out_fraction: 0.2 },
  ],
  ['[base.data]\nsplit = "tails"\n[[run]]\n[[run]]\ndata = ["b.txt"]\n', { data: ['b.txt'], split: 'tails' }],
  ['[grid]\ndata = [["a.txt"], ["a.txt", "b.txt"]]\n', { data: ['a.txt', 'b.txt'] }],
])('%j: both ways to write the data are one, and neither takes the place of the other', (text, data) => {
  const runs = parseSweep(text, 's.toml');
  expect(runs[1].config).toEqual({ data });
  expect(runs[0].name).not.toBe(runs[1].name);
});

test('a sweep that an earlier version began with the short form of data goes on', async () => {
  const [run] = parseSweep('[base]\ndata = "a.txt"\n[grid]\nseed = [1]\n', 's.toml');
  const out = join(folder, 'begun');
  for (const one of [run.name, 'settings']) mkdirSync(join(out, one), { recursive: true });
  writeFileSync(join(out, run.name, 'config.json'), '{}');
  writeFileSync(join(out, 'settings', `${run.name}.json`), '{\n  "data": "a.txt",\n  "seed": 1\n}\n');
  await prepareRuns([run], out);
  await expect(prepareRuns([{ ...run, config: { ...run.config, seed: 2 } }], out)).rejects.toThrow('other settings');
});

test.each([
  ['[grid]\nseed = 1\n', '[grid] seed must be a list of the values to try'],
  ['[base]\nseed = 1\n', 'neither [grid] nor [[run]]'],
  ['[grid]\nseed = [1]\n[[run]]\nseed = 2\n', 'both [grid] and [[run]]'],
  ['[gird]\nseed = [1]\n', 'has no part "gird"'],
  ['[grid]\ntrain.lr = [0.1, "fast"]\n', 'run 2 (lr-fast): [train] lr must be a number, got "fast"'],
  ['[grid]\nlearning_rate = [0.1]\n', 'learning_rate'],
  ['[[run]]\nseed = 1\n[[run]]\nseed = 1\n', 'two runs have the name run'],
  ['[base]\ndata = "-"\n[grid]\nseed = [1, 2]\n', 'several runs cannot read standard input'],
  ['[grid]\nseed = [1\n', 's.toml line 3, column 1: Invalid TOML'],
])('%j is refused', (text, message) => {
  expect(() => parseSweep(text, 's.toml')).toThrow(message);
});

const SWEEP = `
[base]
data = "words.txt"
model = { local_width = 16, local_heads = 2, decoder_layers = 1, global_width = 16, global_heads = 2, global_layers = 1, hash_sizes = [3], hash_vocab = 64 }
entropy_model = { width = 8, heads = 1, layers = 1, steps = 3 }
train = { row_bytes = 64, batch_size = 2, steps = 4, memory = "off" }
[grid]
seed = [0, 1]
`;

test('runs are trained and compared; given again, only what is missing is done, and other settings are refused', () => {
  writeFileSync(join(folder, 'words.txt'), 'it was the best of times, it was the worst of times\n'.repeat(40));
  writeFileSync(join(folder, 'seeds.toml'), SWEEP);
  const sweep = () => blt(folder, ['sweep', 'seeds.toml', '--jobs', '2']);
  const first = sweep();
  expect({ code: first.code, lines: first.stdout.trim().split('\n').length }).toEqual({ code: 0, lines: 3 });
  expect(first.stdout).toMatch(/^seed-1 {2}\d\.\d+ ± .* bpb$/m);
  const page = readFileSync(join(folder, 'runs/seeds/compare.html'), 'utf8');
  expect(page).toContain('<th>seed</th>');

  const file = (run: string, name: string) => join(folder, 'runs/seeds', run, name);
  const weights = readFileSync(file('seed-1', 'step-000004/model.safetensors'));
  const untouched = statSync(file('seed-0', 'report.html')).mtimeMs;
  // As a kill before the report leaves it.
  rmSync(file('seed-1', 'report.html'));
  expect(sweep().code).toBe(0);
  expect(readFileSync(file('seed-1', 'report.html'), 'utf8')).toContain('seed-1');
  expect(readFileSync(file('seed-1', 'step-000004/model.safetensors')).equals(weights)).toBe(true);
  expect(statSync(file('seed-0', 'report.html')).mtimeMs).toBe(untouched);

  writeFileSync(join(folder, 'seeds.toml'), SWEEP.replace('steps = 4', 'steps = 5'));
  const { code, stderr } = sweep();
  expect({ code, stderr: stderr.includes('begun with other settings than the file has now') }).toEqual({
    code: 2,
    stderr: true,
  });
  const compared = blt(folder, ['compare', 'runs/seeds/seed-0', 'runs/seeds/seed-1']);
  expect(compared.stdout).toMatch(
    /^different\n {2}entropyModel\.loop\.seed: 0 \| 1\n {2}model\.loop\.seed: 0 \| 1\n {2}seed: 0 \| 1$/m,
  );
});

test('the example of the help is a sweep', () => {
  const help = blt('.', ['sweep', '--help']).stdout;
  const example = help.slice(help.indexOf('  [base]'), help.indexOf('In place of the grid'));
  expect(parseSweep(example, 'help.toml').map(({ settings }) => settings)).toHaveLength(4);
});
