import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  farApart,
  standardError,
  tooFewHeldOut,
  worseThanChance,
} from '../../../packages/cli/src/data/held-out-noise.ts';
import { blt } from '../../support/command.ts';
import { runs } from '../../support/runs.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

test('few held-out bytes: how far the figure can be trusted is said', () => {
  expect(tooFewHeldOut(200)).toMatch(
    /^only 200 bytes are held out: bits per byte measured on them have a standard error of about 0\.21 \(3 \/ sqrt\(bytes\)\)/,
  );
  expect(tooFewHeldOut(3599)).toContain('0.05');
  expect(tooFewHeldOut(3600)).toBeNull();
  expect(tooFewHeldOut(0)).toBeNull();
  expect(standardError(10_000)).toBeCloseTo(0.03, 10);
});

test('a first evaluation far above the training loss means another kind of text', () => {
  // 60 languages of which six were held out: training 3.9, held out 6.6; the ends of all: 4.5 and 4.5.
  expect(farApart(3.9, 6.604)).toMatch(
    /^the held-out part is of another kind than the training part: 6\.604 bits per byte at the first evaluation, 3\.900 in training/,
  );
  expect(farApart(4.49, 4.481)).toBeNull();
  expect(farApart(Number.NaN, 5)).toBeNull();
  const bits = fc.integer({ min: 1, max: 800 }).map((n) => n / 100);
  fc.assert(
    fc.property(bits, bits, fc.integer({ min: 100, max: 1e6 }), (train, heldOut, heldOutBytes) => {
      const said = farApart(train, heldOut, { heldOutBytes }) !== null;
      if (heldOut <= 1.25 * train) expect(said).toBe(false);
      if (heldOut > 1.25 * train + 1.5) expect(said).toBe(true);
      // A worse figure or a larger part never takes the sentence back.
      if (said) expect(farApart(train, heldOut + 0.5, { heldOutBytes: 2 * heldOutBytes })).not.toBeNull();
    }),
    { numRuns: runs(200) },
  );
});

test('a figure worse than chance is said to be so, with the steps that it took', () => {
  expect(worseThanChance(8, 10)).toBeNull();
  expect(worseThanChance(2.1, 10)).toBeNull();
  expect(worseThanChance(9.924, 1)).toMatch(
    /^9\.924 bits per byte is worse than 8, .*the time was too short \(1 step\)/,
  );
});

test('a run that learns other bytes than those it is measured on says so at its end', () => {
  const folder = temporaryFolder({ 'a.txt': 'ab'.repeat(2000), 'z.txt': 'yz'.repeat(200) });
  const sizes = [
    '--local-width',
    '16',
    '--local-heads',
    '2',
    '--global-width',
    '16',
    '--global-heads',
    '2',
    '--global-layers',
    '1',
  ];
  const args = [
    '--patching-mode',
    'space',
    '--hash-vocab',
    '64',
    '--row-bytes',
    '64',
    '--batch-size',
    '2',
    '--steps',
    '80',
    '--eval-every',
    '0',
  ];
  const { stdout, code } = blt(folder, ['train', '--data', 'a.txt', '--held-out', 'z.txt', ...sizes, ...args]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^warning: \d+\.\d{3} bits per byte is worse than 8, /m);
});
