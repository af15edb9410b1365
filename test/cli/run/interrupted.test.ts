/** A run that is stopped in any phase: it says so, keeps what it has, and goes on to the same bits. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { blt, bltInterrupted } from '../../support/command.ts';
import { sharedFolder, temporaryFolder } from '../../support/temporary-folder.ts';

const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --entropy-width 16 --entropy-heads 2 --entropy-layers 1 --entropy-steps 3 --row-bytes 64 --batch-size 2 --data book.txt'.split(
    ' ',
  );
// No sentence twice: nothing is a copy of held-out text.
const TEXT = Array.from(
  { length: 2_500 },
  (_, i) => `Chapter ${i}: it was the best of ${(i * 7919) % 997} times. `,
).join('');

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
const model = (folder: string, run: string, step: string): string =>
  sha256(join(folder, 'runs', run, step, 'model.safetensors'));

const figures = (folder: string, run: string) =>
  readFileSync(join(folder, 'runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map((m) => [m.step, m.lossNats, m.gradNorm, m.heldOutBitsPerByte]);

describe('Ctrl-C', () => {
  const args = ['train', ...TINY, '--steps', '6', '--eval-every', '3'];
  const folder = sharedFolder({ 'book.txt': TEXT });
  beforeAll(() => {
    expect(blt(folder, [...args, '--run', 'whole']).code).toBe(0);
  });
  test.each([
    ['in the entropy model', 'a', /step 1\/3/],
    ['while the corpus is scored', 'b', /scoring [\d.]+ kB \.\.\./],
    ['in training', 'c', /step 1\/6 /],
    ['while the best step is measured', 'd', /measuring the best step/],
  ])('%s is heard, and the run goes on to the same bits', async (_, run, when) => {
    const { code, stdout } = await bltInterrupted(folder, [...args, '--run', run], when, 'SIGINT');
    expect(code, stdout).toBe(130);
    expect(stdout).toMatch(
      /stopped by SIGINT; saved runs\/\w\/step-00000\d\. Go on with:\n {2}blt train --resume runs\/\w\n$/,
    );
    const resumed = blt(folder, ['train', '--resume', `runs/${run}`]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(model(folder, run, 'step-000006')).toBe(model(folder, 'whole', 'step-000006'));
    expect(figures(folder, run)).toEqual(figures(folder, 'whole'));
    expect(existsSync(join(folder, 'runs', run, 'report.html'))).toBe(true);
  });
});

test('a run of fixed steps that its time stops changes nothing of what follows: metrics and patience are those of one run', () => {
  const folder = temporaryFolder({ 'book.txt': TEXT.slice(0, 20_000) });
  const args = ['train', ...TINY, '--steps', '400', '--eval-every', '20', '--patience', '2', '--lr', '0.02'];
  expect(blt(folder, [...args, '--run', 'whole']).code).toBe(0);
  expect(blt(folder, [...args, '--run', 'parts', '--minutes', '0.02']).stdout).toContain('time is up');
  for (let starts = 0; starts < 30; starts++) {
    const { code, stdout } = blt(folder, ['train', '--resume', 'runs/parts', '--minutes', starts < 3 ? '0.02' : '9']);
    expect(code).toBe(0);
    if (!stdout.includes('time is up')) break;
  }
  expect(figures(folder, 'parts')).toEqual(figures(folder, 'whole'));
});

test('a run whose steps follow from its time says how many, and a resume goes on to the last of them', async () => {
  const folder = temporaryFolder({ 'book.txt': TEXT.slice(0, 12_000) });
  const args = ['train', ...TINY, '--minutes', '0.2', '--run', 'r'];
  const first = await bltInterrupted(folder, args, /step \d+\/\d+ {2}loss/, 'SIGINT');
  expect(first.code, first.stdout + first.stderr).toBe(130);
  const record = JSON.parse(readFileSync(join(folder, 'runs', 'r', 'config.json'), 'utf8'));
  expect(record).toMatchObject({ fittedMinutes: 0.2, care: { minutes: null } });
  const { code, stdout } = blt(folder, ['train', '--resume', 'runs/r']);
  expect(code).toBe(0);
  expect(stdout).not.toContain('time is up');
});

test('no time for a single step is said before anything is made', () => {
  const folder = temporaryFolder({ 'book.txt': TEXT });
  const { code, stderr } = blt(folder, ['train', '--data', 'book.txt', '--minutes', '0.01']);
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^blt: --minutes 0\.01 is too short for a single step: .*; give --minutes [\d.]+, in which 100 steps fit\n$/,
  );
  expect(existsSync(join(folder, 'runs'))).toBe(false);
});

test('steps that a kill has lost are named', async () => {
  const folder = temporaryFolder({ 'book.txt': TEXT.slice(0, 20_000) });
  const args = ['train', ...TINY, '--steps', '500', '--eval-every', '500', '--run', 'r'];
  await bltInterrupted(folder, args, /step 1\/500/, 'SIGKILL');
  const { stdout } = blt(folder, ['train', '--resume', 'runs/r', '--minutes', '0.01']);
  expect(stdout).toMatch(
    /warning: the run had come to step \d+ and was killed before that was saved: the training begins anew/,
  );
});

test('the command to go on with and the command in the record can be pasted', async () => {
  const folder = temporaryFolder({ 'my book.txt': TEXT.slice(0, 20_000) });
  const data = [...TINY.slice(0, -1), 'my book.txt'];
  const args = ['train', ...data, '--steps', '500', '--runs', 'my runs', '--run', 'r'];
  const { stdout } = await bltInterrupted(folder, args, /step 1\/500/, 'SIGINT');
  expect(stdout).toMatch(/Go on with:\n {2}blt train --resume 'my runs\/r'\n$/);
  const { command } = JSON.parse(readFileSync(join(folder, 'my runs/r/config.json'), 'utf8'));
  expect(command).toContain(" --data 'my book.txt' --steps 500 --runs 'my runs' ");
});

test('a kill between a step and the mark on it loses neither the best step nor the one before the decay', () => {
  const folder = temporaryFolder({ 'book.txt': TEXT.slice(0, 20_000) });
  const args = ['train', ...TINY, '--steps', '20', '--schedule', 'wsd', '--eval-every', '8', '--save-every', '8'];
  expect(blt(folder, [...args, '--keep-last', '99', '--run', 'r']).code).toBe(0);
  const path = (...parts: string[]) => join(folder, 'runs/r', ...parts);
  // As the kill leaves it: step 16 is the newest and the best, and is where the decay begins.
  expect(JSON.parse(readFileSync(path('step-000016/training_state.json'), 'utf8')).best.step).toBe(16);
  for (const name of ['step-000020', 'before-decay', 'report.html']) rmSync(path(name), { recursive: true });
  writeFileSync(path('latest'), 'step-000016\n');
  writeFileSync(path('best'), 'step-000008\n');
  const resumed = blt(folder, ['train', '--resume', 'runs/r', '--keep-last', '1', '--minutes', '0.0001']);
  expect(resumed.stdout).toContain('time is up');
  expect(readFileSync(path('best'), 'utf8')).toBe('step-000016\n');
  expect(readFileSync(path('before-decay'), 'utf8')).toBe('step-000016\n');
  expect(readdirSync(path()).filter((name) => name.startsWith('step-'))).toEqual(['step-000016', 'step-000017']);
});
