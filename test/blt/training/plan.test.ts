import {
  configFromHuggingFace,
  configToHuggingFace,
  planRun,
  Session,
  scoreEntropies,
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
