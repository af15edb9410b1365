import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BLT, blt } from '../support/command.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const TINY =
  '--local-width 16 --local-heads 2 --decoder-layers 1 --global-width 16 --global-heads 2 --global-layers 1 --hash-vocab 64 --patching-mode space --row-bytes 64 --batch-size 2 --data book.txt'.split(
    ' ',
  );
const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom. '.repeat(40);
const withBook = (): string => temporaryFolder({ 'book.txt': TEXT });
const train = (folder: string, ...args: string[]) => blt(folder, ['train', ...TINY, ...args]);
const steps = (run: string): string[] => readdirSync(run).filter((name) => name.startsWith('step-'));

/** A run that goes on until it is stopped, once it has saved. */
async function longRun(folder: string) {
  const child = spawn(
    process.execPath,
    [BLT, 'train', ...TINY, '--steps', '1000000', '--save-every', '5', '--run', 'r'],
    {
      cwd: folder,
      stdio: 'ignore',
    },
  );
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const latest = join(folder, 'runs', 'r', 'latest');
  for (let i = 0; i < 300 && !existsSync(latest); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  return { child, ended };
}

describe('a second start into the same folder', () => {
  test('is refused while the first lives, and works once it was killed', async () => {
    const folder = withBook();
    const { child, ended } = await longRun(folder);
    const refused = blt(folder, ['train', '--resume', 'runs/r']);
    expect(refused.stderr).toMatch(new RegExp(`^blt: runs/r is being trained by process ${child.pid} since .*\\n$`));
    expect(refused.code).toBe(1);
    expect(train(folder, '--run', 'r')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/already holds a run/),
    });
    expect(JSON.parse(blt(folder, ['runs', '--json']).stdout).runs[0]).toMatchObject({ name: 'r', state: 'training' });
    child.kill('SIGKILL');
    await ended;
    expect(blt(folder, ['runs']).stdout).toMatch(/^run .*\nr +stopped +\d+\/1000000/);
    const { stdout, code } = blt(folder, ['train', '--resume', 'runs/r', '--minutes', '0.005', '--json']);
    expect(code).toBe(0);
    expect(stdout).toContain('"event":"resumed"');
  });

  test('SIGTERM saves and frees the folder', async () => {
    const folder = withBook();
    const { child, ended } = await longRun(folder);
    child.kill('SIGTERM');
    expect(await ended).toEqual([143, null]);
    expect(readdirSync(join(folder, 'runs', 'r')).filter((name) => name.includes('lock'))).toEqual([]);
  });
});

describe('flags of a long run', () => {
  test('--save-every, --keep-last, --sample-every, --tensorboard and --json do what they say', () => {
    const folder = withBook();
    const flags = '--steps 12 --eval-every 0 --save-every 2 --keep-last 3 --sample-every 5 --tensorboard --json';
    const { stdout, stderr, code } = train(folder, ...flags.split(' '), '--run', 'r');
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ event: 'plan', steps: 12, folder: join('runs', 'r') });
    expect(events.at(-1)).toMatchObject({ event: 'done', step: 12 });
    const of = (name: string) => events.filter(({ event }) => event === name);
    expect(of('step').map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(of('evaluation').map(({ step }) => step)).toEqual([12]);
    expect(of('sample').map(({ step }) => step)).toEqual([5, 10, 12]);
    const run = join(folder, 'runs', 'r');
    expect(steps(run)).toEqual(['step-000008', 'step-000010', 'step-000012']);
    expect(readFileSync(join(run, 'samples.jsonl'), 'utf8').trim().split('\n')).toHaveLength(3);
    expect(readdirSync(run).filter((name) => name.startsWith('events.out.tfevents.'))).toHaveLength(1);
  });

  test('--minutes ends a run of fixed steps in time, with a report; --resume gives more', () => {
    const folder = withBook();
    const first = train(folder, '--steps', '1000000', '--minutes', '0.01', '--run', 'r');
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(
      /time is up: 0\.01 minutes, step-\d+ is saved and it is measured; go on: blt train --resume runs\/r/,
    );
    expect(existsSync(join(folder, 'runs', 'r', 'report.html'))).toBe(true);
    const state = () => JSON.parse(blt(folder, ['runs', '--json']).stdout).runs[0].state;
    expect(state()).toBe('stopped');
    const again = blt(folder, ['train', '--resume', 'runs/r', '--minutes', '0.005']);
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('resumed');
  });

  test('--on-spike skip says which batches it leaves out', () => {
    const { stdout, code } = train(
      withBook(),
      ...'--steps 60 --lr 1e-6 --on-spike skip --spike-factor 1.0001 --json'.split(' '),
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/"event":"spike","step":\d+,"lossNats":[\d.]+,"rewoundTo":null/);
  });

  test('--on-spike rewind goes back to saved weights and still ends', () => {
    const folder = withBook();
    const flags = '--steps 40 --lr 1e-6 --on-spike rewind --spike-factor 1.0001 --save-every 10 --run r';
    const { stdout, code } = train(folder, ...flags.split(' '));
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /spike +step \d+: the loss is [\d.]+ nats; this batch is left out, and the weights go back to step-/,
    );
    const told = readFileSync(join(folder, 'runs', 'r', 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const trained = told.map((line) => JSON.parse(line)).filter((m) => m.lossNats !== undefined);
    expect(trained.map((m) => m.step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  test('what would change the bits cannot be given with --resume', () => {
    const folder = withBook();
    expect(train(folder, '--steps', '2', '--run', 'r').code).toBe(0);
    expect(blt(folder, ['train', '--resume', 'runs/r', '--lr', '1'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^blt: --lr cannot be changed by --resume/),
    });
  });
});

describe('files of a run that others have changed', () => {
  const cases: [name: string, file: string, content: string, code: number, says: RegExp][] = [
    ['config.json is no JSON', 'config.json', '{', 2, /config\.json is not JSON/],
    ['config.json is of another kind', 'config.json', '{"format":1}', 2, /config\.json cannot be used: .*expected/],
    ['the training state is no JSON', 'training_state.json', '[', 1, /training_state\.json is not JSON/],
    ['the training state is a list', 'training_state.json', '[]', 1, /training_state\.json cannot be used/],
    ['the arrays are no safetensors', 'training_state.safetensors', 'PK', 1, /training_state\.safetensors: /],
    [
      'metrics.jsonl has a line of rubbish',
      'metrics.jsonl',
      'rubbish\n{}\n',
      1,
      /metrics\.jsonl line 1 is not a metrics/,
    ],
  ];
  test('each is answered with one sentence', () => {
    const folder = withBook();
    expect(train(folder, '--steps', '2', '--run', 'r').code).toBe(0);
    const run = join(folder, 'runs', 'r');
    const step = join(run, steps(run)[0]);
    for (const [name, file, content, code, says] of cases) {
      const path = join(file.startsWith('training') ? step : run, file);
      const before = readFileSync(path);
      const manifest = readFileSync(join(step, 'manifest.json'), 'utf8');
      writeFileSync(path, content);
      // The checksum is made to fit: this is somebody who knows how.
      const json = JSON.parse(manifest);
      if (json.files[file]) {
        json.files[file] = { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
        if (file.startsWith('training')) writeFileSync(join(step, 'manifest.json'), JSON.stringify(json));
      }
      const outcome = blt(folder, ['train', '--resume', 'runs/r']);
      expect({ name, code: outcome.code, lines: outcome.stderr.trim().split('\n').length }).toEqual({
        name,
        code,
        lines: 1,
      });
      expect(outcome.stderr).toMatch(says);
      writeFileSync(path, before);
      writeFileSync(join(step, 'manifest.json'), manifest);
    }
    expect(blt(folder, ['train', '--resume', 'runs/r']).code).toBe(0);
  });
});

test('runs lists them all, compare puts them in one page, doctor finds this machine sound', () => {
  const folder = withBook();
  expect(blt(folder, ['runs']).stdout).toBe('no runs in runs/; start one: blt train\n');
  expect(train(folder, '--steps', '4', '--run', 'a').code).toBe(0);
  expect(train(folder, '--steps', '6', '--lr', '0.001', '--run', 'b').code).toBe(0);
  const { runs } = JSON.parse(blt(folder, ['runs', '--json']).stdout);
  expect(runs.map((r: { name: string; state: string }) => [r.name, r.state])).toEqual([
    ['b', 'finished'],
    ['a', 'finished'],
  ]);
  const compared = blt(folder, ['compare', 'runs/a', 'runs/b', '--html', 'both.html']);
  expect({ code: compared.code, stderr: compared.stderr }).toEqual({ code: 0, stderr: '' });
  const page = readFileSync(join(folder, 'both.html'), 'utf8');
  expect(page).toContain('<polyline');
  expect(page).toMatch(/<td>model\.loop\.lr<\/td><td>0\.006<\/td><td>0\.001<\/td>/);
  const { differences } = JSON.parse(blt(folder, ['compare', 'runs/a', 'runs/b', '--json']).stdout);
  expect(differences.map(({ path }: { path: string }) => path)).toContain('model.loop.steps');
  expect(blt(folder, ['compare', 'runs/a', 'runs/none'])).toMatchObject({ code: 2, stderr: /runs\/none is no run/ });

  writeFileSync(join(folder, 'runs', 'a', 'config.json'), '{}');
  expect(blt(folder, ['runs']).stdout).toMatch(/\na +broken/);

  const doctor = blt(folder, ['doctor', '--json']);
  const report = JSON.parse(doctor.stdout);
  expect(report.sound).toBe(true);
  expect(doctor.code).toBe(0);
  const names = report.findings.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['reference', 'wasm', 'threads', 'memory']));
});
