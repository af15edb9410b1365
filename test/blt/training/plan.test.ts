import {
  bltPlan,
  configFromHuggingFace,
  configToHuggingFace,
  planRun,
  type RunOptions,
  Session,
  scoreEntropies,
  timedSteps,
  transformersDiffers,
} from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { advance, corpus, tinyPlan } from '../../support/tiny-run.ts';

test('a plan has window and documents, as the authors train; asked for, plain causal attention as transformers computes', () => {
  expect(planRun({}, 1_000_000).config).toMatchObject({ behaviour: 'facebook', window: 512 });
  const { config } = planRun({ behaviour: 'huggingface' }, 1_000_000);
  expect(config).toMatchObject({ behaviour: 'huggingface', window: null });
  expect(config.patcher!.maxPositionEmbeddings).toBe(512);
  expect(transformersDiffers(config)).toEqual([]);
  expect(configFromHuggingFace(JSON.parse(JSON.stringify(configToHuggingFace(config))))).toEqual(config);
  expect(() => planRun({ behaviour: 'huggingface', window: 64 }, 1_000_000)).toThrow(
    'behaviour huggingface has no window; leave out window 64',
  );
});

/** Bytes of the built-in book that are trained on. */
const BOOK = 1_073_475;

test('the recipe: Muon for the local layers, tables at twice the rate, blocks that begin as the identity, no dropout in one pass', () => {
  const { model, outputInit, config } = planRun({}, BOOK);
  const { muon, groups, adamw, dropout } = model.loop;
  expect(muon).toMatchObject({ lr: 0.02, iterations: 3 });
  expect(adamw.beta2).toBe(0.99);
  expect(groups).toEqual([{ prefix: 'model.encoder_hash_tok_embedding.weight', lrScale: 2 }]);
  expect([outputInit, ...Object.values(dropout)]).toEqual([0, 0, 0, 0, 0, 0]);
  const matrices = bltPlan(config).filter(({ name }) => muon!.prefixes.some((prefix) => name.startsWith(prefix)));
  expect(matrices.length).toBeGreaterThan(30);
  for (const { name } of matrices) expect(name).toMatch(/^model\.local_(encoder|decoder)\.(cross_attn_)?layers\./);
  expect(planRun({ muonLr: 0 }, BOOK).model.loop.muon).toBe(null);
  expect(planRun({ lr: model.loop.lr / 2 }, BOOK).model.loop.muon?.lr).toBe(0.01);
  expect(() => planRun({ lr: 4, hashLrScale: 3, weightDecay: 0.1 }, BOOK)).toThrow(
    'lr 4 x hash lr scale 3 x weight decay 0.1 must be below 1: a step shrinks weights by that share',
  );
});

test('a model that goes on with a mixture drops whole hash rows from the first step on, and one that goes on with one text does not', () => {
  const from = { source: 'a run', sha256: '', config: planRun({}, BOOK).config };
  const hash = (options: RunOptions) => planRun({ steps: 240, ...options }, BOOK).model.loop.dropout.hash;
  expect(hash({ mixture: [1, 1] })).toBe(0);
  expect(hash({ from })).toBe(0);
  expect(hash({ from, mixture: [1, 1] })).toBe(0.15);
  expect(hash({ from, mixture: [1, 1], hashDropout: 0.05 })).toBe(0.05);
});

test('a corpus is seen twice where that is enough steps, twelve times at most, and a large one as far as the size reads', () => {
  const steps = (trainBytes: number) => planRun({ size: 'small' }, trainBytes).model.loop.steps;
  expect(steps(BOOK)).toBe(Math.ceil((2 * BOOK) / 2048));
  expect(steps(1_400_000)).toBe(Math.ceil((2 * 1_400_000) / 2048));
  expect(steps(1e8)).toBe(Math.ceil(3_000_000 / 2048));
  expect(steps(300_000)).toBe(600);
  expect(steps(60_000)).toBe(Math.ceil((12 * 60_000) / 2048));
});

test('a run of more than one pass leaves n-grams out from the second one on, unless rates of dropout are chosen', () => {
  const left = (options: RunOptions) => planRun(options, BOOK).leaveOneOut ?? false;
  const passes = (n: number) => ({ steps: Math.floor((n * BOOK) / 2048) });
  const from = { source: 'a run', sha256: '', config: planRun({}, BOOK).config };
  expect([{}, passes(1.5), passes(7), { ...passes(1.5), from }].map(left)).toEqual([true, true, true, true]);
  const chosen = [{ leaveOneOut: false }, { hashDropout: 0.1 }, { dropout: 0 }];
  expect([passes(0.9), ...chosen].map(left)).not.toContain(true);
  expect(left({ ...passes(1.5), from, mixture: [1, 1] })).toBe(true);
  const hiding = (n: number) => planRun(passes(n), BOOK).hidingRate;
  expect([0.9, 1.5, 4, 9, 20].map(hiding)).toEqual([undefined, 2, 2, expect.closeTo(4.5, 2), 8]);
  const rates = (options: RunOptions) => Object.values(planRun(options, BOOK).model.loop.dropout);
  for (const n of [0.9, 2, 6]) expect(rates(passes(n))).toEqual([0, 0, 0, 0, 0]);
  expect(rates(passes(13))).toEqual([0.03, 0.03, 0.03, 0.03, 0]);
  expect(rates({ ...passes(4), leaveOneOut: false })).toEqual([0.1, 0.1, 0.1, 0.1, 0.4]);
});

test('a run has two to six evaluations, about 200 steps apart', () => {
  const evaluations = (steps: number) => Math.ceil(steps / planRun({ steps }, BOOK).evalEvery);
  expect([20, 60, 400, 586, 800, 1200, 12_000].map(evaluations)).toEqual([2, 2, 2, 3, 4, 6, 6]);
  expect(planRun({ steps: 1 }, BOOK).evalEvery).toBe(1);
  expect(planRun({ steps: 586, evalEvery: 50 }, BOOK).evalEvery).toBe(50);
});

test('a run whose time is given reads its corpus up to sixteen times, without the limit of a size', () => {
  const passes = (n: number, bytes: number) => Math.ceil((n * bytes) / 2048);
  for (const bytes of [BOOK, 1e8]) {
    const [usual, enough, most] = [2, 4, 16].map((n) => passes(n, bytes));
    expect(timedSteps(2048, bytes)).toEqual({ usual, enough, most });
  }
  const often = passes(12, 60_000);
  expect(timedSteps(2048, 60_000)).toEqual({ usual: often, enough: often, most: passes(16, 60_000) });
});

test('a run under behaviour huggingface cuts and trains without window; entropies start afresh after a row', async () => {
  const backend = createWasmBackend();
  const plan = tinyPlan({ behaviour: 'huggingface', steps: 2 });
  const session = new Session(plan, corpus, backend);
  await advance(session, 99);
  const { config, patcher } = session.checkpoint();
  expect(config.behaviour).toBe('huggingface');
  const [ids] = corpus.train;
  const row = plan.entropyModel!.rowBytes;
  const options = { window: null, documents: false, backend };
  const [whole] = scoreEntropies(patcher!, [ids], config.patcher!, options);
  const [second] = scoreEntropies(patcher!, [ids.subarray(row, 2 * row)], config.patcher!, options);
  expect(ids.length).toBeGreaterThan(2 * row);
  second.forEach((h, i) => {
    expect(Math.abs(h - whole[row + i])).toBeLessThan(1e-5);
  });
});

test('steps and bytes that are none are refused', () => {
  for (const steps of [-1, 0, 1.5, Number.NaN]) {
    expect(() => planRun({ steps }, 1000)).toThrow(`steps must be a whole number of at least 1, got ${steps}`);
    expect(() => planRun({ entropySteps: steps }, 1000)).toThrow(`entropySteps must be`);
  }
  for (const bytes of [undefined, Number.NaN, -5]) {
    expect(() => planRun({}, bytes as number)).toThrow(`planRun needs the number of bytes to train on, got ${bytes}`);
  }
});
