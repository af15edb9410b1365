import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { learningRateMultiplier, type Schedule, stableSteps } from '../../../packages/blt/src/optim/schedule.ts';
import { fixture } from '../../support/fixture.ts';
import { runs } from '../../support/runs.ts';

interface Golden {
  scheduler: Schedule;
  warmup: number;
  lr_min_ratio: number;
  n_steps: number;
  points: Record<string, number>;
}

describe.each(Object.entries(fixture<Record<string, Golden>>('schedules.json')))('golden: %s', (_name, c) => {
  const options = {
    schedule: c.scheduler,
    warmupSteps: c.warmup,
    totalSteps: c.n_steps,
    minRatio: c.lr_min_ratio,
  };
  test.each(Object.entries(c.points))('step %s -> %f', (step, multiplier) => {
    expect(learningRateMultiplier(Number(step), { ...options, holdAtEnd: false })).toBeCloseTo(multiplier, 12);
    if (Number(step) < c.n_steps) expect(learningRateMultiplier(Number(step), options)).toBeCloseTo(multiplier, 12);
  });
});

const run = fc
  .record({
    schedule: fc.constantFrom<Schedule[]>('cosine', 'linear', 'inv_sqrt', 'wsd', 'constant'),
    warmupSteps: fc.integer({ min: 0, max: 50 }),
    rest: fc.integer({ min: 1, max: 200 }),
    minRatio: fc.integer({ min: 1, max: 64 }).map((r) => r / 64),
    decayFraction: fc.integer({ min: 0, max: 8 }).map((f) => f / 8),
  })
  .map(({ rest, ...o }) => ({ ...o, totalSteps: o.warmupSteps + rest }))
  .filter((o) => o.schedule !== 'wsd' || o.warmupSteps <= stableSteps(o.totalSteps, o.decayFraction));

test('warm-up rises in equal steps to 1; from there the multiplier never rises and stays at or above minRatio', () => {
  fc.assert(
    fc.property(run, (o) => {
      const at = (t: number) => learningRateMultiplier(t, o);
      for (let t = 0; t < o.warmupSteps; t++) expect(at(t)).toBe(t / o.warmupSteps);
      expect(at(o.warmupSteps)).toBe(1);
      for (let t = o.warmupSteps; t < o.totalSteps + 5; t++) {
        expect(at(t + 1)).toBeLessThanOrEqual(at(t));
        expect(at(t)).toBeGreaterThanOrEqual(o.minRatio - 1e-12);
      }
    }),
    { numRuns: runs(100) },
  );
});

test('cosine and linear end at minRatio and hold it', () => {
  for (const schedule of ['cosine', 'linear'] as const) {
    const o = { schedule, warmupSteps: 10, totalSteps: 100, minRatio: 0.1 };
    expect([100, 101, 1e6].map((t) => learningRateMultiplier(t, o))).toEqual([0.1, 0.1, 0.1]);
  }
});

test('the decay of wsd in a line starts at 1, ends at minRatio, and nothing before it depends on the number of steps', () => {
  const wsd = { schedule: 'wsd', warmupSteps: 5, minRatio: 0, decay: 'line', decayFraction: 0.25 } as const;
  const at = (t: number, totalSteps: number) => learningRateMultiplier(t, { ...wsd, totalSteps });
  expect([30, 31, 32, 35, 40, 41].map((t) => at(t, 40))).toEqual([1, 0.9, 0.8, 0.5, 0, 0]);
  for (let t = 0; t <= 30; t++) expect(at(t, 80)).toBe(at(t, 40));
});

test('options that make no sense are refused', () => {
  const at =
    (o: object, step = 1) =>
    () =>
      learningRateMultiplier(step, { schedule: 'cosine', warmupSteps: 10, totalSteps: 100, ...o });
  expect(at({ schedule: 'step' })).toThrow("unknown schedule 'step'");
  expect(at({ warmupSteps: 100 })).toThrow('warmupSteps 100 must be below totalSteps 100');
  expect(at({ totalSteps: 0 })).toThrow('totalSteps must be an integer >= 1, got 0');
  expect(at({ minRatio: 2 })).toThrow('minRatio must be 0 .. 1, got 2');
  expect(at({ schedule: 'wsd' })).toThrow('wsd needs a minRatio above 0');
  expect(at({ schedule: 'wsd', minRatio: 0.1, decay: 'curve' })).toThrow("unknown decay 'curve'");
  expect(at({ decayFraction: -1 })).toThrow('decayFraction must be 0 .. 1, got -1');
  expect(at({}, -1)).toThrow('step must be >= 0, got -1');
});

test('a warm-up ends before the decay, or the run', () => {
  const numbers = { warmupSteps: 20, totalSteps: 10, minRatio: 0.1 };
  for (const schedule of ['constant', 'inv_sqrt', 'cosine', 'linear', 'wsd'] as const) {
    expect(() => learningRateMultiplier(3, { schedule, ...numbers }), schedule).toThrow(RangeError);
  }
  const wsd = { schedule: 'wsd', totalSteps: 100, decayFraction: 0.1, decay: 'line' } as const;
  expect(() => learningRateMultiplier(0, { ...wsd, warmupSteps: 95 })).toThrow('must end before the decay');
  expect(learningRateMultiplier(90, { ...wsd, warmupSteps: 90 })).toBe(1);
  const misspelt = { schedule: 'cosine', warmupSteps: 0, totalSteps: 10, minratio: 0.5 } as never;
  expect(() => learningRateMultiplier(10, misspelt)).toThrow('there is no option minratio');
});
