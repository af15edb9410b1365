/** @file Runs made longer, as they are called: the wsd run of 20 steps that is extended to 40 is the one that was planned for 40. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planRun } from '@blt-ts/blt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeFolder } from '../../../packages/cli/src/files/atomic-folder.ts';
import { runDetails } from '../../../packages/cli/src/run/summary.ts';
import { passesOverSample } from '../../../packages/cli/src/training/extension.ts';
import { bytesPerStep } from '../../../packages/cli/src/training/forecast.ts';
import { blt, bltInterrupted } from '../../support/command.ts';

// biome-ignore format: flags and their values
const TINY = [
  '--local-width', '16', '--local-heads', '2', '--decoder-layers', '1', '--global-width', '16', '--global-heads', '2',
  '--global-layers', '1', '--hash-sizes', '3', '--hash-vocab', '64', '--entropy-width', '8', '--entropy-heads', '1',
  '--entropy-layers', '1', '--entropy-steps', '5', '--row-bytes', '64', '--batch-size', '2', '--eval-every', '8', '--warmup-steps', '2', '--dropout', '0', '--hash-dropout', '0', '--weight-decay', '0.1', 
  '--memory', 'off',
];

const folder = mkdtempSync(join(tmpdir(), 'blt-extension-'));
const path = (...parts: string[]): string => join(folder, ...parts);
const train = (...args: string[]) => blt(folder, ['train', ...args]);
beforeAll(() => {
  writeFileSync(path('words.txt'), 'it was the best of times, it was the worst of times\n'.repeat(60));
  const wsd = ['--data', 'words.txt', ...TINY, '--schedule', 'wsd'];
  for (const steps of ['20', '40']) expect(train(...wsd, '--steps', steps, '--run', `wsd-${steps}`).code).toBe(0);
  for (const copy of ['twice', 'killed', 'dry', 'figures']) {
    cpSync(path('runs/wsd-20'), path('runs', copy), { recursive: true });
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('--resume RUN --steps N goes on from before the decay, to the bits of a run planned for N', () => {
  expect(readFileSync(path('runs/wsd-20/before-decay'), 'utf8')).toBe('step-000016\n');
  const refused = train('--resume', 'runs/wsd-20', '--steps', '20');
  expect({ code: refused.code, stderr: refused.stderr }).toEqual({
    code: 2,
    stderr: 'blt: runs/wsd-20 has done 20 steps; to make it longer give more: --steps 40\n',
  });
  const { code, stdout } = train('--resume', 'runs/wsd-20', '--steps', '40');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /goes on from step 16, before its decay, as if planned for 40 steps, .* kept in .*finished-\d+/,
  );
  const [extended, planned] = ['wsd-20', 'wsd-40'].map((run) => path('runs', run));
  const weights = (run: string) => readFileSync(join(run, 'step-000040/model.safetensors'));
  expect(weights(extended).equals(weights(planned))).toBe(true);
  const lines = readFileSync(join(extended, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const steps = lines.map((line) => JSON.parse(line)).filter((line) => 'learningRate' in line);
  expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  const { plan, extended: history } = JSON.parse(readFileSync(join(extended, 'config.json'), 'utf8'));
  expect([plan.model.loop.steps, history]).toEqual([40, [{ from: 16, steps: 20 }]]);
  const [kept] = readdirSync(extended).filter((name) => name.startsWith('finished-'));
  expect(existsSync(join(extended, kept, 'model.safetensors'))).toBe(true);
});

test('a model and its figures stay together when a run is made longer', async () => {
  const run = 'figures';
  const evaluation = readFileSync(path('runs', run, 'evaluation.json'), 'utf8');
  const { step, heldOutBitsPerByte } = JSON.parse(evaluation);
  expect(step).toBe(20);
  // The same step is the best of the longer run, but has other weights there: it is not the end of the decay.
  await bltInterrupted(folder, ['train', '--resume', `runs/${run}`, '--steps', '40'], /before its decay/, 'SIGKILL');
  expect(existsSync(path('runs', run, 'evaluation.json'))).toBe(false);
  expect(readFileSync(path('runs', run, 'finished-000020/evaluation.json'), 'utf8')).toBe(evaluation);
  expect((await runDetails(path('runs', run))).full).toBe(null);
  expect(blt(folder, ['export', '--model', `runs/${run}/finished-000020`, '--out', 'exported']).code).toBe(0);
  const card = readFileSync(path('exported/README.md'), 'utf8');
  expect(card).toContain(`| bits per byte, held-out | ${heldOutBitsPerByte.toFixed(3)} ± `);
  expect(card).toContain('| steps | 20 of 20 |');
});

const weightsAt40 = (run: string) => readFileSync(path('runs', run, 'step-000040/model.safetensors'));

const stateOf = (run: string, step: number) =>
  path('runs', run, `step-${String(step).padStart(6, '0')}`, 'training_state.json');

/** Changes a file of a step, and what the manifest says of it. */
function changeState(run: string, step: number, change: (state: { best: unknown }) => unknown): void {
  const file = stateOf(run, step);
  const text = JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8'))));
  writeFileSync(file, text);
  const manifest = file.replace('training_state', 'manifest');
  const content = JSON.parse(readFileSync(manifest, 'utf8'));
  const sha256 = createHash('sha256').update(text).digest('hex');
  content.files['training_state.json'] = { bytes: text.length, sha256 };
  writeFileSync(manifest, JSON.stringify(content));
}

test('where the best step of then is gone, the step that is gone on from is the best, with its own figure', async () => {
  const run = 'gone';
  cpSync(path('runs/dry'), path('runs', run), { recursive: true });
  // As if step 8 had been the best until a step after 16 was better, for which it was cleared away.
  changeState(run, 16, (state) => ({ ...state, best: { step: 8, bitsPerByte: 0.5 } }));
  rmSync(path('runs', run, 'step-000008'), { recursive: true, force: true });
  await bltInterrupted(folder, ['train', '--resume', `runs/${run}`, '--steps', '40'], /before its decay/, 'SIGKILL');
  const { best, evaluatedAt } = JSON.parse(readFileSync(stateOf(run, 16), 'utf8'));
  const lines = readFileSync(path('runs', run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const figures = lines.map((line) => JSON.parse(line)).filter(({ step }) => step === 16);
  const figure = figures.map(({ heldOutBitsPerByte }) => heldOutBitsPerByte).find((value) => value !== undefined);
  expect({ best, evaluatedAt }).toEqual({ best: { step: 16, bitsPerByte: figure }, evaluatedAt: 16 });
  expect(readFileSync(path('runs', run, 'best'), 'utf8')).toBe('step-000016\n');
});

test('an earlier model that was kept of the same step stays', async () => {
  const run = 'kept';
  cpSync(path('runs/dry'), path('runs', run), { recursive: true });
  const earlier = path('runs', run, 'finished-000020');
  await writeFolder(path('runs', run), 'finished-000020', { 'model.safetensors': 'another model' });
  const { stdout } = await bltInterrupted(
    folder,
    ['train', '--resume', `runs/${run}`, '--steps', '40'],
    /before its decay/,
    'SIGKILL',
  );
  expect(stdout).toContain('finished-000020-2');
  expect(readFileSync(join(earlier, 'model.safetensors'), 'utf8')).toBe('another model');
  const [kept, then] = [join(`${earlier}-2`, 'model.safetensors'), path('runs/dry/step-000020/model.safetensors')];
  expect(readFileSync(kept).equals(readFileSync(then))).toBe(true);
});

test('a longer run says how often it reads the sample that was drawn for the shorter one', () => {
  const plan = planRun({ size: 'nano', steps: 1000 }, 8_100_000);
  const read = 1000 * bytesPerStep(plan);
  const sample = (trainBytes: number | null) => ({ trainBytes, heldOutBytes: null });
  expect(passesOverSample({ plan, sample: sample(read / 3) })).toMatch(
    /^1,000 steps are about 3\.0 passes over .*B of the data, because these were drawn for a shorter run .* --from$/,
  );
  for (const enough of [null, read, 1.2 * read]) expect(passesOverSample({ plan, sample: sample(enough) })).toBe(null);
  expect(passesOverSample({ plan })).toBe(null);
});

test('an extension of a sampled run warns of it', () => {
  // As the plan of fewer steps would have left it: the sample is what they read, of a text that is longer.
  const config = path('runs/dry/config.json');
  const record = JSON.parse(readFileSync(config, 'utf8'));
  writeFileSync(config, JSON.stringify({ ...record, sample: { trainBytes: 1000, heldOutBytes: null } }));
  const { stdout } = train('--resume', 'runs/dry', '--steps', '40', '--dry-run');
  writeFileSync(config, JSON.stringify(record));
  expect(stdout).toMatch(/40 steps are about \d.*passes over .* drawn for a shorter run/);
});

test('a run that is made longer twice is the one that was planned for the last number of steps', () => {
  for (const steps of ['30', '40']) expect(train('--resume', 'runs/twice', '--steps', steps).code).toBe(0);
  expect(weightsAt40('twice').equals(weightsAt40('wsd-40'))).toBe(true);
  const { extended } = JSON.parse(readFileSync(path('runs/twice/config.json'), 'utf8'));
  expect(extended).toEqual([
    { from: 16, steps: 20 },
    { from: 24, steps: 30 },
  ]);
});

test('an extension that was killed once config.json was written is finished by the next --resume', () => {
  // As the kill leaves it: the record is that of the longer run, the newest step is still the end of the shorter one.
  const record = JSON.parse(readFileSync(path('runs/killed/config.json'), 'utf8'));
  record.plan.model.loop.steps = 40;
  record.extended = [{ from: 16, steps: 20 }];
  writeFileSync(path('runs/killed/config.json'), JSON.stringify(record));
  const { code, stdout } = train('--resume', 'runs/killed', '--steps', '40');
  expect({ code, warned: stdout.includes('was changed since') }).toEqual({ code: 0, warned: false });
  expect(weightsAt40('killed').equals(weightsAt40('wsd-40'))).toBe(true);
  expect(JSON.parse(readFileSync(path('runs/killed/config.json'), 'utf8')).extended).toHaveLength(1);
});

/** A run of 20 steps as a kill leaves it, once with each step before its end saved. @returns the weights that it had come to */
function killedAt(step: number, run: string, ...args: string[]): Buffer {
  const saved = ['--steps', '20', '--save-every', '2', '--keep-last', '99'];
  expect(train('--data', 'words.txt', ...TINY, ...args, ...saved, '--run', run).code).toBe(0);
  const at = path('runs', run);
  const weights = readFileSync(join(at, 'step-000020/model.safetensors'));
  const name = (of: number) => `step-${String(of).padStart(6, '0')}`;
  for (let after = step + 2; after <= 20; after += 2) rmSync(join(at, name(after)), { recursive: true });
  writeFileSync(join(at, 'latest'), `${name(step)}\n`);
  writeFileSync(join(at, 'best'), `${name(8)}\n`);
  for (const file of ['report.html', 'evaluation.json']) rmSync(join(at, file));
  const metrics = readFileSync(join(at, 'metrics.jsonl'), 'utf8').split('\n');
  writeFileSync(join(at, 'metrics.jsonl'), `${metrics.slice(0, step).join('\n')}\n`);
  return weights;
}

test.each(['wsd', 'cosine'])(
  '--steps N of a %s run that was stopped on its way to N is a plain --resume',
  (schedule) => {
    const run = `stopped-${schedule}`;
    const weights = killedAt(18, run, '--schedule', schedule);
    const { code, stdout } = train('--resume', `runs/${run}`, '--steps', '20');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^resumed .*step-000018 /m);
    expect(stdout).not.toMatch(/goes on from step|learning rate is that of/);
    expect(readFileSync(path('runs', run, 'step-000020/model.safetensors')).equals(weights)).toBe(true);
    expect(JSON.parse(readFileSync(path('runs', run, 'config.json'), 'utf8')).extended).toBeUndefined();
  },
);

test.each([
  ['wsd', 10, '40', /goes on from step 10, before its decay, as if planned for 40 steps;/],
  ['wsd', 10, '11', /from step 10 on the learning rate is that of a run of 11 steps, so it falls once;/],
  [
    'cosine',
    10,
    '40',
    /from step 10 on the learning rate is that of a run of 40 steps, so it rises once; a run of --schedule wsd/,
  ],
  ['cosine', 10, '12', /from step 10 on the learning rate is that of a run of 12 steps, so it falls once;/],
] as const)(
  'a %s run stopped at step %d that is given %s steps says what becomes of its rate',
  (schedule, at, steps, says) => {
    const run = `${schedule}-to-${steps}`;
    killedAt(at, run, '--schedule', schedule);
    expect(train('--resume', `runs/${run}`, '--steps', steps).stdout).toMatch(says);
  },
);

test('the plan of a run that is gone on with has the time that is left', () => {
  const run = 'rest';
  const steps = ['--steps', '20000', '--patience', '0', '--minutes', '0.05'];
  expect(train('--data', 'words.txt', ...TINY, ...steps, '--run', run).stdout).toContain('time is up');
  const plan = (...args: string[]) => {
    const { stdout } = train('--resume', `runs/${run}`, '--minutes', '600', '--dry-run', ...args);
    return { text: stdout, estimate: args.length > 0 ? JSON.parse(stdout.split('\n')[0]).estimate : null };
  };
  const seconds = () => plan('--json').estimate.seconds;
  expect(plan().text).toMatch(/^estimate +about .* left; /m);
  const before = seconds();
  // As if nearly all of it were done.
  const [latest] = readdirSync(path('runs', run))
    .filter((name) => name.startsWith('step-'))
    .sort()
    .slice(-1);
  const file = path('runs', run, latest, 'training_state.json');
  const state = JSON.parse(readFileSync(file, 'utf8'));
  state.loop.step = 19_999;
  const text = JSON.stringify(state);
  writeFileSync(file, text);
  const manifest = JSON.parse(readFileSync(path('runs', run, latest, 'manifest.json'), 'utf8'));
  manifest.files['training_state.json'].bytes = text.length;
  writeFileSync(path('runs', run, latest, 'manifest.json'), JSON.stringify(manifest));
  expect(seconds()).toBeLessThan(before / 2);
});

test('a resume takes from a config file what it takes as flags, and refuses the rest', () => {
  writeFileSync(path('keep.toml'), '[train]\nsteps = 40\nkeep_last = 3\nsave_every = 7\n');
  const { code, stdout } = train('--resume', 'runs/dry', '--config', 'keep.toml', '--dry-run');
  expect({ code, plan: /^training +40 steps/m.test(stdout) }).toEqual({ code: 0, plan: true });
  expect(train('--resume', 'runs/dry', '--config', 'keep.toml', '--steps', '30', '--dry-run').stdout).toMatch(
    /^training +30 /m,
  );
  writeFileSync(path('rate.toml'), 'seed = 0\n[train]\nkeep_last = 3\n');
  expect(train('--resume', 'runs/dry', '--config', 'rate.toml', '--dry-run')).toMatchObject({
    code: 2,
    stderr:
      'blt: seed in rate.toml cannot be changed by --resume: the run goes on as it was planned; leave it out, or start a new run\n',
  });
  writeFileSync(path('rate.toml'), '[train]\nlr = 0.1\n');
  expect(train('--resume', 'runs/dry', '--config', 'rate.toml', '--dry-run').stderr).toContain(
    '[train] lr in rate.toml cannot',
  );
  expect(train('--resume', 'runs/dry', '--config', 'none.toml', '--dry-run').stderr).toContain('none.toml');
});

test('--dry-run of an extension shows the longer plan and changes nothing', () => {
  const files = () =>
    (readdirSync(path('runs/dry'), { recursive: true }) as string[])
      .filter((name) => /\.(json|jsonl|safetensors)$|latest|best|before-decay/.test(name))
      .map((name) => [name, readFileSync(path('runs/dry', name)).toString('base64')]);
  const before = files();
  const { code, stdout } = train('--resume', 'runs/dry', '--steps', '40', '--dry-run');
  expect({ code, plan: /^training +40 steps/m.test(stdout) }).toEqual({ code: 0, plan: true });
  expect(files()).toEqual(before);
});
