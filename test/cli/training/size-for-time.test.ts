import { readFileSync } from 'node:fs';
import type { Size } from '@blt-ts/blt';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  choosesSize,
  gainOfTwice,
  lawOfBytes,
  sizeForTime,
  sizeInWords,
  tooLargeFor,
  withSize,
} from '../../../packages/cli/src/training/size-for-time.ts';

const SIZES: readonly Size[] = ['nano', 'tiny', 'small'];

/** Seconds of a step of each size, and the steps that are usual for the data. */
const machines = fc.record({
  seconds: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 3, maxLength: 3 }),
  usual: fc.integer({ min: 20, max: 1e6 }),
});
const chosenIn = (time: number, { seconds, usual }: { seconds: number[]; usual: number }) =>
  sizeForTime((size) => ({ fit: Math.floor(time / seconds[SIZES.indexOf(size)]), usual, enough: 2 * usual }));

test('the size is the largest that reads the data often enough, else the smallest; more time never makes it smaller', () => {
  fc.assert(
    fc.property(machines, fc.nat(1e8), fc.nat(1e8), (machine, time, more) => {
      const [first, second] = [chosenIn(time, machine), chosenIn(time + more, machine)];
      expect(SIZES.indexOf(second.size)).toBeGreaterThanOrEqual(SIZES.indexOf(first.size));
      const passes = machine.seconds.map((seconds) => (2 * Math.floor(time / seconds)) / machine.usual);
      const reads = SIZES.filter((_, i) => passes[i] >= 0.9 * 4);
      const isEnough = reads.length > 0;
      expect(first).toEqual({ size: reads.at(-1) ?? 'nano', isEnough, isUsual: isEnough || passes[0] >= 0.9 * 2 });
    }),
  );
  const slow = sizeForTime(() => ({ fit: 100, usual: 40, enough: 100 }), 'small');
  expect(slow).toEqual({ size: 'tiny', isEnough: true, isUsual: true });
});

test('whoever names a size, or a number that the size decides, decides by himself', () => {
  expect(choosesSize({ seed: 3, patchSize: 4, dropout: 0.1 })).toBe(true);
  expect(choosesSize({ size: 'nano' })).toBe(false);
  expect(choosesSize({ localWidth: 64 })).toBe(false);
  expect(choosesSize({ batchRows: 4 })).toBe(false);
});

test('patches are longer where the time is too short for the data, unless somebody has said how they are cut', () => {
  const short = { size: 'nano', isEnough: false, isUsual: false } as const;
  expect(withSize({}, short)).toEqual({ size: 'nano', patchSize: 6 });
  expect(withSize({}, { size: 'nano', isEnough: false, isUsual: true })).toEqual({ size: 'nano' });
  expect(withSize({}, { size: 'tiny', isEnough: true, isUsual: true })).toEqual({ size: 'tiny' });
  for (const said of [{ patchSize: 4 }, { threshold: 1 }, { patchingMode: 'space' }] as const) {
    expect(withSize(said, short)).toEqual({ ...said, size: 'nano' });
  }
});

/** A run of the study, as results.json has it. */
interface StudyRun {
  readonly config: Readonly<Record<string, unknown>>;
  readonly result: { readonly bytesSeen: number; readonly bitsPerByte: number; readonly parameters: { rest: number } };
}

test('the law of bytes is that of the study: within 1.7 % of all its runs, of 0.3 to 5 million parameters beside the tables', () => {
  const { runs } = JSON.parse(readFileSync('docs/study/results.json', 'utf8')) as { runs: Record<string, StudyRun> };
  const kept = Object.values(runs).filter(
    ({ config: c }) => c.kind === 'patch' && c.corpus === 'sotu' && c.patching === 'entropy' && c.patch_bytes === 4.5,
  );
  const alike = kept.filter(
    ({ config: c }) =>
      c.hash_vocab === 8192 &&
      String(c.hash_sizes) === '2,3,4,5,6,8' &&
      c.cross_attention === 'all' &&
      (c.lr === 0.003 || c.lr === 0.004),
  );
  expect(alike.length).toBeGreaterThanOrEqual(25);
  expect(new Set(alike.map(({ result }) => result.parameters.rest)).size).toBeGreaterThanOrEqual(8);
  const errors = alike.map(({ result: { bytesSeen, bitsPerByte } }) => lawOfBytes(bytesSeen) / bitsPerByte - 1);
  for (const error of errors) expect(Math.abs(error)).toBeLessThan(0.017);
  expect(Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length)).toBeLessThan(0.007);
});

test('twice the bytes are worth less and less', () => {
  expect(gainOfTwice(1e6)).toBeCloseTo(0.0547, 3);
  expect(gainOfTwice(20e6)).toBeCloseTo(0.0196, 3);
});

test('the words name the size, the reason, and what twice the time buys', () => {
  const facts = { bytesSeen: 300_000, mostBytes: 8_000_000, trainBytes: 1_000_000, minutes: 1 };
  const short = sizeInWords({ size: 'nano', isEnough: false, isUsual: false }, facts);
  expect(short.why).toBe(
    'nano, because 1 minute is enough for 300 kB of the 1.00 MB, and a larger size would read less',
  );
  expect(short.twice).toBe('reads twice as much and takes off about 8 % of the bits per byte');
  const repeated = sizeInWords({ size: 'nano', isEnough: false, isUsual: true }, { ...facts, bytesSeen: 1_600_000 });
  expect(repeated.why).toContain('1 minute is enough for 1.6 passes over the data,');
  expect(repeated.twice).toBe('reads the data more often and takes off about 1 % of the bits per byte');
  const enough = { size: 'nano', isEnough: true, isUsual: true } as const;
  expect(sizeInWords(enough, { ...facts, bytesSeen: 5_000_000 }).twice).toBe(
    `${repeated.twice}; twice the text would take off about 5 %`,
  );
  const nano = sizeInWords(enough, { ...facts, bytesSeen: 8_000_000, minutes: 10 });
  expect(nano.why).toBe('nano, because larger sizes learn no more from 1.00 MB');
  expect(nano.twice).toContain('nothing; twice the text');
  expect([tooLargeFor(1e6), tooLargeFor(1e7)]).toEqual(['tiny', null]);
  const much = { ...facts, trainBytes: 10_000_000 };
  const tiny = sizeInWords({ size: 'tiny', isEnough: true, isUsual: true }, { ...much, minutes: 10 });
  expect(tiny.why).toBe('tiny, the largest size that reads the data as often as pays in 10 minutes');
  expect(tiny.twice).toContain('small, which takes off less than 1 %');
  expect(sizeInWords({ size: 'small', isEnough: true, isUsual: true }, much).twice).toContain(
    'nothing; twice the text',
  );
});
