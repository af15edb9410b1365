import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { experimentNames, readExperiment, smokeOf } from '../../../packages/cli/src/study/experiment.ts';
import { inOrder } from '../../../packages/cli/src/study/queue.ts';
import { entropyRun, type RunConfig, runConfig, runName } from '../../../packages/cli/src/study/run-config.ts';
import { RECIPE } from '../../support/study-recipe.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const given = { ...RECIPE, corpus: 'sotu', flops: 1e12, lr: 1e-3 };
const RECIPE_LINES = Object.entries(RECIPE)
  .map(([key, value]) => `${key} = ${value}\n`)
  .join('');
const patch = (options: object = {}) =>
  runConfig.parse({
    kind: 'patch',
    patching: 'space',
    local_width: 16,
    global_width: 32,
    global_layers: 1,
    ...given,
    ...options,
  });

describe('the name of a run', () => {
  test('does not depend on the order of the keys, nor on numbers that do not reach its result', () => {
    const config = patch();
    expect(runName(Object.fromEntries(Object.entries(config).reverse()) as RunConfig)).toBe(runName(config));
    expect(runName(patch({ entropy_width: 64 }))).toBe(runName(config));
    expect(runName(patch({ patch_bytes: 3 }))).toBe(runName(config));
    expect(runName(patch({ entropy_loss: 0 }))).toBe(runName(config));
    expect(() => patch({ entropy_loss: 0.5 })).toThrow(/entropy_loss is for patching/);
    expect(runName(patch({ hash_sizes: [], hash_vocab: 7, table_lr: 9 }))).toBe(runName(patch({ hash_sizes: [] })));
  });
  test('is that of results which were published before', () => {
    const published = JSON.parse(readFileSync(new URL('../../../docs/study/pilot.json', import.meta.url), 'utf8'));
    for (const [name, { config }] of Object.entries<{ config: unknown }>(published.runs))
      expect(runName(runConfig.parse(config))).toBe(name);
  });
  test('depends on every number that does', () => {
    const names = [
      {},
      { seed: 1 },
      { lr: 2e-3 },
      { patching: 'static' },
      { patching: 'static', patch_bytes: 8 },
      { patching: 'entropy' },
      { patching: 'entropy', entropy_width: 64 },
      { patching: 'entropy', monotonic: true },
      { patching: 'entropy', entropy_loss: 0.5 },
      { cross_attention: 'none' },
      { hash_vocab: 7 },
      { k: 4 },
      { beta2: 0.95 },
    ].map((options) => runName(patch(options)));
    expect(new Set(names).size).toBe(names.length);
  });
});

test('every experiment of the command has a baseline among its arms, and runs of known options', () => {
  expect(experimentNames()).toEqual([
    'ablations',
    'characters',
    'fixed-inference',
    'ladder',
    'languages',
    'modalities',
    'patch-size',
    'robustness',
    'spelling',
  ]);
  for (const name of experimentNames()) {
    const { runs, baseline } = readExperiment(name);
    expect(runs.map(({ arm }) => arm)).toContain(baseline);
    expect(smokeOf(readExperiment(name)).runs.every(({ config }) => config.corpus.startsWith('smoke'))).toBe(true);
  }
});

test('the ladder gives each of its five families the same number of runs for tuning', () => {
  const { runs } = readExperiment('ladder');
  const tuning = ['token', 'byte', 'BLT static', 'BLT space', 'BLT entropy'].map((family) => {
    const own = runs.filter(({ arm, config }) => arm === family && config.flops === 2.5e12 && config.seed === 0);
    return new Set(own.map(({ config }) => runName(config))).size;
  });
  expect(tuning).toEqual([6, 6, 6, 6, 6]);
});

test('all experiments of the command train by one recipe, so that they share runs', () => {
  const recipes = experimentNames().flatMap((name) =>
    readExperiment(name).runs.map(({ config }) => Object.keys(RECIPE).map((key) => config[key as keyof typeof RECIPE])),
  );
  for (const recipe of recipes) expect(recipe).toEqual(recipes[0]);
});

test('rungs go together, sweeps are combined', () => {
  const file = join(temporaryFolder(), 'mine.toml');
  writeFileSync(
    file,
    `title = "t"\nquestion = "q"\nbaseline = "a"\n[defaults]\ncorpus = "sotu"\nlr = 1e-3\n${RECIPE_LINES}[token]\nbatch_rows = 8\n[[arms]]\nname = "a"\nkind = "token"\nvocab = 260
rungs = [{ flops = 1e9, width = 8, layers = 1 }, { flops = 2e9, width = 16, layers = 2 }]\n[arms.sweep]\nseed = [0, 1]\nlr = [1e-3, 2e-3]\n`,
  );
  const { runs, name } = readExperiment(file, 'moby-dick');
  expect(name).toBe('mine');
  expect(runs).toHaveLength(8);
  expect(new Set(runs.map(({ config }) => runName(config))).size).toBe(8);
  expect(runs.every(({ config }) => config.corpus === 'moby-dick')).toBe(true);
  expect(runs.every(({ config }) => config.batch_rows === 8)).toBe(true);
});

test('what is wrong with a file is said in one sentence', () => {
  const file = join(temporaryFolder(), 'wrong.toml');
  const head = 'title = "t"\nquestion = "q"\nbaseline = "b"\n[[arms]]\nname = "a"\nkind = "token"\n';
  writeFileSync(file, `${head}${RECIPE_LINES}flops = 1\nlr = 1\ncorpus = "x"\nvocab = 260\nwidth = 8\nlayers = 1\n`);
  expect(() => readExperiment(file)).toThrow(`${file}: no arm is called b, the baseline; mend the file`);
  writeFileSync(file, `${head}wdith = 8\n`);
  expect(() => readExperiment(file)).toThrow(/wdith.*mend the file$/);
  expect(() => readExperiment('laddr')).toThrow(
    'give a .toml file or one of ablations, characters, fixed-inference, ladder, languages, modalities, patch-size, robustness, spelling',
  );
});

describe('the order of the runs', () => {
  const { runs } = readExperiment('ladder');
  const configs = runs.map(({ config }) => config);
  const jobs = configs.map((config) => ({ config, measures: [] }));
  const names = (shard: { i: number; n: number } | null) =>
    inOrder(jobs, { shard }).map(({ config }) => runName(config));
  test('an entropy model comes before the runs that need it', () => {
    const order = names(null);
    for (const config of configs) {
      const entropy = entropyRun(config);
      if (entropy) expect(order.indexOf(runName(entropy))).toBeLessThan(order.indexOf(runName(config)));
    }
  });
  test('a run that two experiments ask for is one, with the measures of both', () => {
    const [config] = configs;
    const [noise, tasks] = [
      { kind: 'noise', excerpt_bytes: 8, items: 2 } as const,
      { kind: 'tasks', items: 2 } as const,
    ];
    const both = inOrder(
      [
        { config, measures: [noise] },
        { config, measures: [tasks, noise] },
      ],
      { shard: null },
    );
    expect(both).toEqual([{ config, measures: [noise, tasks] }]);
  });
  test('the runs whose robustness is measured are runs of the ladder', () => {
    const ladder = new Set(configs.map(runName));
    for (const { config } of readExperiment('robustness').runs) expect(ladder).toContain(runName(config));
  });
  test('shares have every run together, and none twice but for entropy models', () => {
    const shares = [1, 2, 3].map((i) => names({ i, n: 3 }));
    expect([...new Set(shares.flat())].sort()).toEqual([...names(null)].sort());
    const entropy = new Set(configs.flatMap((config) => entropyRun(config) ?? []).map(runName));
    const rest = shares.flat().filter((name) => !entropy.has(name));
    expect(new Set(rest).size).toBe(rest.length);
  });
});
