/** @file The queue of runs: one that fails does not end the others, and time is planned for measures too. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isRunning } from '../../../packages/cli/src/files/processes.ts';
import type { Measure } from '../../../packages/cli/src/study/measure.ts';
import { measureBytes, secondsOf } from '../../../packages/cli/src/study/planned-time.ts';
import { doRuns } from '../../../packages/cli/src/study/queue.ts';
import { gather, readResults, resultsText, takeOver } from '../../../packages/cli/src/study/results.ts';
import { entropyRun, type RunConfig, runConfig, runName } from '../../../packages/cli/src/study/run-config.ts';
import { type RunResult, StudyFolder } from '../../../packages/cli/src/study/run-folders.ts';
import { BLT } from '../../support/command.ts';
import { RECIPE } from '../../support/study-recipe.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const small = { ...RECIPE, corpus: 'smoke', flops: 1e4, lr: 1e-3, row_bytes: 64, batch_rows: 1, excerpt_bytes: 64 };
const bytes = (given: object = {}): RunConfig =>
  runConfig.parse({ kind: 'token', ...small, vocab: 260, width: 8, layers: 1, ...given });
const patches = (given: object): RunConfig =>
  runConfig.parse({
    ...{ kind: 'patch', ...small, patching: 'entropy', local_width: 8, global_width: 16, global_layers: 1 },
    ...{ hash_vocab: 8, entropy_width: 8, entropy_flops: 1, ...given },
  });
const job = (config: RunConfig, measures: readonly Measure[] = []) => ({ config, measures });
const options = { jobs: 1, hours: null, shard: null, here: true };

test('a run that fails is named with its reason, those that need it fail with it, and the others are done', async () => {
  const folder = new StudyFolder(join(temporaryFolder(), 'study'));
  // A rate of 1e30 leaves numbers that are not finite.
  const [wrong, right, needsWrong] = [bytes({ lr: 1e30 }), bytes(), patches({ entropy_lr: 1e30 })];
  const elsewhere = bytes({ corpus: 'no-such-text' });
  const { left, failed } = await doRuns(
    [wrong, needsWrong, elsewhere, right].map((one) => job(one)),
    folder,
    options,
  );
  expect(left).toEqual([]);
  expect(folder.isDone(right)).toBe(true);
  const reasons = new Map(failed.map(({ config, why }) => [runName(config), why]));
  expect(reasons.get(runName(wrong))).toMatch(/^step \d+: .* is (NaN|-?Infinity)/);
  expect(reasons.get(runName(needsWrong))).toMatch(/^its entropy model, the run [0-9a-f]{16}, failed$/);
  expect(reasons.get(runName(elsewhere))).toMatch(/^there is no corpus "no-such-text"/);
  // The entropy model of the second is the fourth.
  expect(failed).toHaveLength(4);
  expect(existsSync(folder.runPath(wrong, 'result.json'))).toBe(false);
});

test('runs that were taken over from a results.json are not done again, unless their weights are needed', async () => {
  const [before, after] = ['a', 'b'].map((name) => new StudyFolder(join(temporaryFolder(), name)));
  const first = [patches({}), bytes()];
  await doRuns(
    first.map((one) => job(one)),
    before,
    options,
  );
  const experiment = (runs: readonly RunConfig[]) => ({
    ...{ name: 'x', title: '', question: '', baseline: 'a', references: [], measures: [] },
    runs: runs.map((config) => ({ arm: 'a', config })),
  });
  const text = resultsText(gather([experiment(first)], before));
  await before.write(before.path('results.json'), text);
  const results = await readResults(before.path('results.json'));
  expect(await takeOver(results, after)).toBe(3);
  expect(await takeOver(results, after)).toBe(0);
  expect(resultsText(gather([experiment(first)], after))).toBe(text);

  const later = patches({ seed: 1 });
  const { failed } = await doRuns(
    [...first, later].map((one) => job(one)),
    after,
    options,
  );
  expect(failed).toEqual([]);
  expect(first.map((config) => after.hasWeights(config))).toEqual([false, false]);
  // The entropy model of the new run was trained again, to the same bits.
  const entropy = entropyRun(later)!;
  const weights = (folder: StudyFolder) => readFileSync(folder.runPath(entropy, 'weights.safetensors'));
  expect(weights(after).equals(weights(before))).toBe(true);
});

test('a run that is done again for its weights must have the bits of the results that were taken over', async () => {
  const folder = new StudyFolder(join(temporaryFolder(), 'study'));
  const entropy = entropyRun(patches({}))!;
  await doRuns([job(entropy)], folder, options);
  const result = { ...folder.result(entropy)!, bitsPerByte: 1 };
  await folder.write(folder.runPath(entropy, 'result.json'), JSON.stringify(result));
  rmSync(folder.runPath(entropy, 'weights.safetensors'));
  const { failed } = await doRuns([job(patches({}))], folder, options);
  expect(failed[0].why).toMatch(/^the run [0-9a-f]{16} has \d\.\d+ bits per byte, and 1 in the results/);
  expect(failed).toHaveLength(2);
});

test('a results.json whose measures are paths to elsewhere is refused', async () => {
  const folder = new StudyFolder(join(temporaryFolder(), 'study'));
  await doRuns([job(bytes())], folder, options);
  const run = { config: bytes(), result: folder.result(bytes())!, measures: { '../../x': { kind: 'noise' } } };
  await folder.write(folder.path('bad.json'), JSON.stringify({ format: 1, experiments: [], runs: { a: run } }));
  await expect(readResults(folder.path('bad.json'))).rejects.toThrow('is no results.json of blt study');
});

/** The processes that a process has begun. */
function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-Ao', 'pid=,ppid='], { encoding: 'utf8' });
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  return all.filter(([, parent]) => parent === pid).map(([child]) => child);
}

/** Waits until something holds, for half a minute at most. */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries === 600) throw new Error('it never came to be');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test.skipIf(process.platform === 'win32')(
  'a run ends with the study that began it, even if that was killed outright',
  async () => {
    const toml = (values: object) =>
      Object.entries(values)
        .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
        .join('\n');
    // A run of hours.
    const arm = { name: 'a', kind: 'token', ...small, vocab: 260, width: 8, layers: 1, flops: 1e15 };
    const head = toml({ title: 't', question: 'q', baseline: 'a' });
    const cwd = temporaryFolder({ 'long.toml': `${head}\n[[arms]]\n${toml(arm)}\n` });
    const study = spawn(process.execPath, [BLT, 'study', 'long.toml', '--jobs', '1', '--this-node'], {
      cwd,
      stdio: 'ignore',
    });
    let run = 0;
    try {
      await until(() => study.exitCode !== null || childrenOf(study.pid!).length === 1);
      expect(study.exitCode).toBe(null);
      [run] = childrenOf(study.pid!);
    } finally {
      study.kill('SIGKILL');
    }
    try {
      await until(() => !isRunning(run));
    } finally {
      if (isRunning(run)) process.kill(run, 'SIGKILL');
    }
  },
);

test('no run is begun that would end too late', async () => {
  const folder = new StudyFolder(join(temporaryFolder(), 'study'));
  const { left, failed } = await doRuns([job(bytes())], folder, { ...options, hours: 0 });
  expect([left.map(({ config }) => config), failed]).toEqual([[bytes()], []]);
});

test('the time of a run is that of its FLOPs at the speed of its neighbour, and of the bytes that its measures score', () => {
  const result = (speed: number) =>
    ({
      flops: { model: 1e12, patcher: 0 },
      seconds: { training: 1e12 / speed, evaluation: 10 },
      millisecondsPerByte: 0.1,
      documents: Array(10).fill({}),
    }) as unknown as RunResult;
  const done = [
    { config: bytes({ flops: 1e12 }), result: result(2e10) },
    { config: bytes({ flops: 1e14 }), result: result(8e10) },
    { config: patches({ flops: 1e13 }), result: result(1) },
  ];
  const plan = (flops: number, trains: boolean, measures: readonly Measure[]) =>
    secondsOf({ config: bytes({ flops }), trains, measures }, done);
  expect(plan(2e12, true, []) - plan(2e12, false, [])).toBeCloseTo(2e12 / 2e10 + 10, 6);
  expect(plan(5e13, true, []) - plan(5e13, false, [])).toBeCloseTo(5e13 / 8e10 + 10, 6);
  const noise: Measure = { kind: 'noise', excerpt_bytes: 4096, items: 400 };
  const more = plan(2e12, true, [noise]) - plan(2e12, true, []);
  expect(more).toBeCloseTo(measureBytes(noise, bytes(), 10) / 10_000, 6);
  // Six texts, one of them clean: ten excerpts and 400 times four choices of 320 bytes, half of which is read once only.
  expect(measureBytes(noise, bytes(), 10) / (6 * 1.3)).toBe(10 * 4096 + 400 * 640);
});
