/** @file Options that were taken silently and then did something else. */
import { RowSparse } from '@blt-ts/autograd';
import {
  ADAMW_DEFAULTS,
  AdamW,
  type BltConfig,
  learningRateMultiplier,
  type PatchingOptions,
  planRun,
  type RunOptions,
  Session,
  validateConfig,
} from '@blt-ts/blt';
import { createWasmBackend, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { AdamWWithMuon } from '../../packages/blt/src/optim/adamw-with-muon.ts';
import { longestShown, NgramCounts } from '../../packages/blt/src/training/leave-one-out.ts';
import { PassWorkers } from '../../packages/blt/src/training/pass-workers.ts';
import { patchingFor } from '../../packages/cli/src/commands/patch.ts';
import { firstDifference } from '../support/bits.ts';
import { corpus, remains, tinyPlan } from '../support/tiny-run.ts';

describe('AdamW', () => {
  const params = () => ({ w: tensor([1, 2]) });

  test('takes an option left undefined for its default, and refuses those out of range', () => {
    expect(new AdamW(params(), { weightDecay: undefined, beta2: undefined }).options).toEqual(ADAMW_DEFAULTS);
    for (const wrong of [{ beta2: 1 }, { beta1: -1 }, { eps: -1 }, { weightDecay: Number.NaN }]) {
      expect(() => new AdamW(params(), wrong)).toThrow(RangeError);
    }
  });

  test('refuses rates of fading under which rows that are not read would drift without bound', () => {
    const table = { w: zeros([4, 2]) };
    const sparse = new RowSparse([4, 2], [{ ids: Int32Array.of(1), groups: 1, rows: tensor([[1, 1]]) }]);
    const step = (beta2: number) => () => new AdamW(table, { beta2, lr: 0.1 }).step({ w: sparse });
    expect(step(0.5)).toThrow(
      'beta2 must be above beta1 squared (0.8100) for tables with row-sparse gradients, got 0.5',
    );
    expect(table.w.tolist()).toEqual([[0, 0], [0, 0], [0, 0], [0, 0]]); // biome-ignore format: one line
    expect(() => planRun({ beta2: 0.5 }, 1e6)).toThrow('beta2 must be above 0.81, the square of beta1, got 0.5');
  });

  test('updates the matrices of a group that is not for Muon', () => {
    const start = [[1, 2], [3, 4]]; // biome-ignore format: one line
    const gradients = () => ({ a: { w: tensor([[1, 0], [0, 1]]) } }); // biome-ignore format: one line
    const part = { prefixes: ['a'], lr: 0.02, iterations: 3 };
    const both = { a: { w: tensor(start) } };
    new AdamWWithMuon(both, ADAMW_DEFAULTS, [{ prefix: 'a', muon: false }], part, 0.01).step(gradients(), 0.01);
    const alone = { a: { w: tensor(start) } };
    new AdamW(alone, ADAMW_DEFAULTS).step(gradients(), 0.01);
    expect(both.a.w.tolist()).toEqual(alone.a.w.tolist());
  });
});

test('without warm-up the rate falls from 1, as the inverse square root', () => {
  const options = { schedule: 'inv_sqrt', warmupSteps: 0, totalSteps: 100 } as const;
  expect([0, 1, 4, 25].map((step) => learningRateMultiplier(step, options))).toEqual([1, 1, 0.5, 0.2]);
});

test('workers that have no threads train all matrices', async () => {
  const plan = tinyPlan({ steps: 2, batchRows: 4, passRows: 2, muonLr: 0.02, patchingMode: 'space' });
  const trained = async (withWorkers: boolean) => {
    const backend = createWasmBackend({ maximumBytes: 2 ** 26 });
    const session = new Session(plan, corpus, backend);
    if (withWorkers) session.useWorkers(new PassWorkers(backend, []));
    while ((await session.next()).kind !== 'done');
    return (await remains(session)).arrays;
  };
  expect(firstDifference(await trained(true), await trained(false))).toBe(null);
});

describe('a plan', () => {
  test('has whole numbers of rows', () => {
    for (const name of ['batchRows', 'passRows', 'accumulation', 'rowBytes', 'patchesPerRow'] as const) {
      for (const wrong of [0, 1.5]) {
        const message = `${name} must be a whole number of at least 1, got ${wrong}`;
        expect(() => planRun({ [name]: wrong }, 1e6)).toThrow(message);
      }
    }
  });

  test('that goes on from a model keeps its way of cutting, unless another is asked for', () => {
    const base = planRun({ size: 'nano', patchingMode: 'space' }, 1e6).config;
    const from = (patching: PatchingOptions, options: RunOptions) => {
      const patcher = patching.mode === 'entropy' ? planRun({ size: 'nano' }, 1e6).config.patcher : null;
      const config: BltConfig = { ...base, patching, patcher };
      const source = { source: 'x', sha256: 'y' } as unknown as NonNullable<RunOptions['from']>;
      return planRun({ ...options, from: { ...source, config } }, 1e6);
    };
    const fixed = { mode: 'static', patchSize: 8, maxPatchLength: null } as const;
    expect(from(fixed, { patchSize: 6 }).config.patching).toMatchObject({ mode: 'static', patchSize: 6 });
    expect(from(fixed, {}).config.patching).toMatchObject(fixed);
    expect(from(fixed, { patchingMode: 'space' }).config.patching.mode).toBe('space');
    const rise = { mode: 'entropy', threshold: 1, monotonic: true, thresholdAdd: null, maxPatchLength: 9 } as const;
    expect(from(rise, { threshold: 2 }).config.patching).toMatchObject({ ...rise, threshold: 2 });
    expect(from(rise, { monotonic: false, threshold: 2 }).config.patching).toMatchObject({ monotonic: false });
  });
});

test('hash tables that no forward pass takes are refused with the configuration', () => {
  const { config } = planRun({ size: 'nano', patchingMode: 'space' }, 1e6);
  const hash = (changes: object) => () => validateConfig({ ...config, hash: { ...config.hash, ...changes } });
  expect(hash({})).not.toThrow();
  expect(hash({ groupSizes: [2000] })).toThrow('hash.groupSizes must be at most 1024, got 2000');
  expect(hash({ vocab: 2 ** 27 })).toThrow('hash.vocab must be at most');
  expect(hash({ vocab: 2 ** 26, functions: 6 })).toThrow('rows of all hash tables must be at most');
});

test('long n-grams are shown and hidden like short ones', () => {
  const ids = new Int32Array(600).fill(9);
  const shown = longestShown(ids, new NgramCounts([ids], [2, 256]), [2, 256], 1);
  expect(shown.filter((longest) => longest === 256).length).toBeGreaterThan(200);
});

test('blt patch cuts as the model does, but for what the flags replace', () => {
  const fixed = { mode: 'static', patchSize: 8, maxPatchLength: null } as const;
  expect(patchingFor({}, undefined, fixed)).toEqual(fixed);
  expect(patchingFor({}, 'static', undefined)).toMatchObject({ patchSize: 4 });
  const rise = { mode: 'entropy', threshold: 1, monotonic: true, thresholdAdd: null, maxPatchLength: null } as const;
  expect(patchingFor({ thresholdAdd: 0.3 }, undefined, rise)).toMatchObject({ monotonic: false, thresholdAdd: 0.3 });
  const added = { ...rise, monotonic: false, thresholdAdd: 0.2 };
  expect(patchingFor({ monotonic: true }, undefined, added)).toMatchObject({ monotonic: true, thresholdAdd: null });
  expect(() => patchingFor({ monotonic: true, thresholdAdd: 0.3 }, undefined, rise)).toThrow('do not go together');
});
