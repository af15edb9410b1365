import { planRun } from '@blt-ts/blt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  closingSeconds,
  fitInto,
  type Rates,
  ratesByFormula,
  secondsOf,
  workOf,
} from '../../../packages/cli/src/training/forecast.ts';
import { TimeBudget } from '../../../packages/cli/src/training/time-budget.ts';
import { runs } from '../../support/runs.ts';

const plan = planRun({ size: 'nano' }, 1_000_000);

/** Rates of machines from very fast to very slow. */
const rates: fc.Arbitrary<Rates> = fc
  .record({ speed: fc.integer({ min: 1, max: 400 }), share: fc.integer({ min: 50, max: 200 }) })
  .map(({ speed, share }) => {
    const formula = ratesByFormula(plan, speed);
    return { ...formula, evaluatedByte: (formula.evaluatedByte * share) / 100, save: 0.3 };
  });

const planned = (fit: { entropySteps: number; steps: number; evalEvery: number }) =>
  planRun({ size: 'nano', steps: fit.steps, entropySteps: fit.entropySteps, evalEvery: fit.evalEvery }, 1_000_000);

describe('what fits into a time', () => {
  test('takes that time by its own rates: never more, and less by a step and an evaluation at most', () => {
    fc.assert(
      fc.property(
        rates,
        fc.integer({ min: 20, max: 7200 }),
        fc.integer({ min: 1000, max: 50_000_000 }),
        fc.boolean(),
        (r, seconds, trainBytes, memory) => {
          const heldOutBytes = Math.floor(trainBytes / 9);
          const scoredFor = (steps: number) => 1_000_000 + steps * 2048;
          const fit = fitInto(seconds, plan, r, { trainBytes, heldOutBytes, memory, scoredFor });
          fc.pre(fit.steps >= 1);
          expect(fit.rememberedBytes).toBeLessThanOrEqual(memory ? Math.min(trainBytes, 2 ** 22) : 0);
          const scored = Math.min(trainBytes, scoredFor(fit.steps));
          const work = workOf(planned(fit), scored, fit.heldOutBytes, fit.rememberedBytes);
          const takes = secondsOf(work, r);
          const evaluation = work.evaluationBytes * r.evaluatedByte + r.save;
          expect(takes).toBeLessThanOrEqual(seconds + evaluation + 2048 * r.scoredByte);
          expect(takes).toBeGreaterThan(seconds - 4 * (r.step + 2048 * r.scoredByte + evaluation));
        },
      ),
      { numRuns: runs(300) },
    );
  });

  test('a memory that is counted beside the training takes none of it, and may remember more', () => {
    const sizes = { trainBytes: 4e6, heldOutBytes: 1e5, memory: true, scoredFor: () => 1e6 };
    const after = ratesByFormula(plan, 40);
    const beside = { ...after, beside: true };
    const [behind, along] = [after, beside].map((r) => fitInto(60, plan, r, sizes));
    expect(along.rememberedBytes).toBeGreaterThan(4 * behind.rememberedBytes);
    expect(along.steps).toBeGreaterThan(behind.steps);
    const work = workOf(planned(along), 1e6, along.heldOutBytes, along.rememberedBytes);
    expect(secondsOf(work, beside)).toBeLessThanOrEqual(60);
    // A run that is over before the memory is made waits for it: 0.25 MB counted and studied at 35 microseconds a byte, 1.75 MB at 10.
    const short = {
      ...work,
      entropySteps: 0,
      scoredBytes: 0,
      steps: 0,
      evaluations: 0,
      finalBytes: 0,
      rememberedBytes: 2 ** 21,
    };
    expect(secondsOf(short, beside)).toBeCloseTo((2 ** 18 * 35 + (2 ** 21 - 2 ** 18) * 10) / 1e6 + 3, 6);
  });

  test('leaves nothing for steps where the rest takes it all', () => {
    const slow = ratesByFormula(plan, 0.05);
    const fit = fitInto(5, plan, slow, { trainBytes: 1e6, heldOutBytes: 1e5, scoredFor: () => 1e6 });
    expect(fit.steps).toBe(0);
  });
});

test('a run that is evaluated at its end alone has one evaluation in its time', () => {
  const steps = 400;
  const atEnd = { ...plan, evalEvery: 0, model: { ...plan.model, loop: { ...plan.model.loop, steps } } };
  const work = workOf(atEnd, 1e6, 1e5);
  expect(work.evaluations).toBe(1);
  expect(workOf({ ...atEnd, evalEvery: steps }, 1e6, 1e5)).toEqual(work);
  expect(workOf({ ...atEnd, evalEvery: 1 }, 1e6, 1e5).evaluations).toBe(steps);
  expect(workOf(atEnd, 1e6, 0).evaluations).toBe(0);
  // A fitted run keeps the steps that were planned for it.
  const r = { ...ratesByFormula(plan, 40), save: 0.3 };
  const fit = fitInto(600, plan, r, { trainBytes: 1e6, heldOutBytes: 1e5, scoredFor: () => 1e6 });
  const long = { ...atEnd, model: { ...plan.model, loop: { ...plan.model.loop, steps: fit.steps } } };
  const budget = new TimeBudget(workOf(long, 1e6, 1e5), r, { minutes: 10, fitted: true }, () => 0);
  expect(budget.endInTime({ phase: 'model', step: 0, steps: fit.steps })).toBeGreaterThanOrEqual(fit.steps);
});

test("Muon's matrices are part of a step by the formula", () => {
  const { muon } = plan.model.loop;
  const without = { ...plan, model: { ...plan.model, loop: { ...plan.model.loop, muon: null } } };
  const flops = (ratesByFormula(plan, 1).step - ratesByFormula(without, 1).step) * 0.6e9;
  // nano: three layers of width 64, each with four matrices of 64 x 64 and three of 64 x 192, and three cross-attentions of four.
  const [square, long] = [6 * 64 ** 3, 4 * 64 * 64 * 192 + 2 * 64 ** 3];
  expect(flops).toBeCloseTo(muon!.iterations * (24 * square + 9 * long), -3);
});

/** Runs a fitted run against a clock of its own; the machine becomes `slower(progress)` times as slow as the rates say. */
function simulate(r: Rates, minutes: number, slower: (progress: number) => number) {
  let now = 3;
  const sizes = { trainBytes: 1e6, heldOutBytes: 1e5, memory: true, scoredFor: () => 1e6 };
  const fit = fitInto(60 * minutes - now, plan, r, sizes);
  const work = workOf(planned(fit), 1e6, fit.heldOutBytes, fit.rememberedBytes);
  const budget = new TimeBudget(work, r, { minutes, fitted: true }, () => now);
  const limit = 60 * minutes;
  const pass = (seconds: number) => {
    now += seconds * slower(now / limit);
  };
  const phase = (name: 'entropy model' | 'model', planned: number, perStep: number): number => {
    let steps = planned;
    for (let step = 1; step <= steps; step++) {
      const before = now;
      pass(perStep);
      budget.took(name, now - before);
      steps = budget.newEnd({ phase: name, step, steps }) ?? steps;
      if (name === 'model' && step % fit.evalEvery === 0) pass(work.evaluationBytes * r.evaluatedByte + r.save);
    }
    return steps;
  };
  phase('entropy model', fit.entropySteps, r.entropyStep);
  pass(work.scoredBytes * r.scoredByte);
  const steps = phase('model', fit.steps, r.step);
  // The memory counts its text, studies the end of it, and predicts the held-out bytes beside the model.
  const studied = Math.min(2 ** 18, fit.rememberedBytes / 2);
  pass(fit.rememberedBytes * r.countedByte + studied * (r.mixedByte - r.countedByte));
  pass(work.finalBytes * (2 * r.evaluatedByte + r.mixedByte) + 3);
  return { seconds: now, steps, fit };
}

describe('a run with a time', () => {
  const machine = ratesByFormula(plan, 40);

  test.each([
    ['keeps its pace', () => 1],
    ['is twice as slow as measured', () => 2],
    ['is twice as fast as measured', () => 0.5],
    ['slows down half way', (at: number) => (at < 0.5 ? 1 : 2)],
    ['gets faster half way', (at: number) => (at < 0.5 ? 1 : 0.6)],
    ['is uneven', (at: number) => 1 + 0.8 * Math.sin(60 * at)],
  ])('ends within 15%% of it where the machine %s', (_, slower) => {
    for (const minutes of [1, 3, 10]) {
      const { seconds, steps } = simulate(machine, minutes, slower);
      expect(seconds / (60 * minutes), `${minutes} minutes`).toBeGreaterThan(0.85);
      expect(seconds / (60 * minutes), `${minutes} minutes`).toBeLessThan(1.15);
      expect(steps).toBeGreaterThan(1);
    }
  });

  test('keeps the planned number of steps where the pace is as measured', () => {
    const { steps, fit } = simulate(machine, 3, () => 1);
    expect(Math.abs(steps - fit.steps) / fit.steps).toBeLessThan(0.03);
  });

  test.each([0.5, 1, 2])(
    'that goes on after many steps fills it, on a machine %s times as slow as the rates',
    (slower) => {
      const done = 100_000;
      let now = 3;
      const work = { ...workOf(plan, 1e6, 0), steps: done, evaluations: 0, rememberedBytes: 0 };
      const budget = new TimeBudget(work, machine, { minutes: 1, fitted: true }, () => now);
      let steps = budget.endInTime({ phase: 'model', step: done, steps: done });
      expect(steps).toBe(done + Math.floor((60 - now - closingSeconds(work, machine)) / machine.step));
      // Less than the tolerance of a whole run.
      expect(steps - done).toBeLessThan(0.02 * done);
      for (let step = done + 1; step <= steps; step++) {
        now += slower * machine.step;
        budget.took('model', slower * machine.step);
        steps = budget.newEnd({ phase: 'model', step, steps }) ?? steps;
      }
      expect(now / 60).toBeGreaterThan(0.85);
      expect(now / 60).toBeLessThan(1.05);
    },
  );

  test('whose steps are fixed is never changed, and is up at its time', () => {
    let now = 0;
    const budget = new TimeBudget(workOf(plan, 1e6, 1e5), machine, { minutes: 1, fitted: false }, () => now);
    expect(budget.newEnd({ phase: 'model', step: 10, steps: 20 })).toBe(null);
    expect(budget.isUp).toBe(false);
    now = 61;
    expect(budget.isUp).toBe(true);
    expect(budget.newEnd({ phase: 'model', step: 10, steps: 20 })).toBe(null);
  });
});
