import { Session } from '@blt-ts/blt';
import { createWasmBackend } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { advance, corpus, remains, tinyPlan } from '../../support/tiny-run.ts';

const backend = createWasmBackend();
const OPTIONS = {
  schedule: 'wsd',
  warmupSteps: 2,
  evalEvery: 3,
  ema: 0.9,
  // What a plan would choose by its number of steps.
  dropout: 0.2,
  hashDropout: 0.4,
  weightDecay: 0.1,
} as const;

test('a run of wsd that is extended from before its decay has the bits of one that was planned so long', async () => {
  const short = new Session(tinyPlan({ ...OPTIONS, steps: 10 }), corpus, backend);
  while (!short.beginsDecay) await advance(short, 1);
  expect(short.step).toBe(8);
  const before = await short.state();
  await advance(short, Number.POSITIVE_INFINITY);
  expect(short.step).toBe(10);

  const extended = new Session(tinyPlan({ ...OPTIONS, steps: 10 }), corpus, backend);
  extended.restore(before);
  extended.extend(20);
  const planned = new Session(tinyPlan({ ...OPTIONS, steps: 20 }), corpus, backend);
  for (const session of [extended, planned]) await advance(session, Number.POSITIVE_INFINITY);
  expect([extended.step, planned.step]).toEqual([20, 20]);
  expect(firstDifference((await remains(extended)).arrays, (await remains(planned)).arrays)).toBe(null);
});

test('a run that has ended goes on, an early stop included; fewer steps than were done are refused', async () => {
  const session = new Session(tinyPlan({ steps: 30, evalEvery: 1, patience: 1, lr: 1 }), corpus, backend);
  expect((await advance(session, Number.POSITIVE_INFINITY)).at(-1)).toContain('patience');
  const { step } = session;
  expect(() => session.extend(step)).toThrow(`the run has done ${step} steps; it cannot end after ${step}`);
  const next = new Session(session.plan, corpus, backend);
  next.restore(await session.state());
  next.extend(step + 1);
  await advance(next, Number.POSITIVE_INFINITY);
  expect([next.step, next.phase]).toEqual([step + 1, 'done']);
});
