import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  counted,
  fixed,
  humanBytes,
  humanCount,
  humanDuration,
} from '../../../packages/cli/src/terminal/human-units.ts';
import { runs } from '../../support/runs.ts';

test('bytes and counts have three significant figures and SI prefixes', () => {
  expect([0, 1, 300, 999, 1000, 18213, 999_949, 999_950, 1_192_750, 4.2e9].map(humanBytes)).toEqual([
    '0 B',
    '1 B',
    '300 B',
    '999 B',
    '1.00 kB',
    '18.2 kB',
    '1.00 MB',
    '1.00 MB',
    '1.19 MB',
    '4.20 GB',
  ]);
  expect([950, 1_234_567, -1500, 12.345].map(humanCount)).toEqual(['950', '1.23M', '-1.50k', '12.3']);
  expect([Number.NaN, Number.POSITIVE_INFINITY].map(humanCount)).toEqual(['nan', 'inf']);
});

test('one of a thing has no plural', () => {
  expect([0, 1, 2].map((n) => counted(n, 'byte'))).toEqual(['0 bytes', '1 byte', '2 bytes']);
  expect([counted(1, 'text is', 'texts are'), counted(3, 'patch', 'patches')]).toEqual(['1 text is', '3 patches']);
  expect(counted(1234, 'document', undefined, '1,234')).toBe('1,234 documents');
});

test('a humanised count read back is within half a unit of its third figure', () => {
  const prefixes: Record<string, number> = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 50 }), (count) => {
      const shown = humanCount(count);
      const value = Number.parseFloat(shown) * (prefixes[shown.at(-1)!] ?? 1);
      expect(Math.abs(value - count) / count).toBeLessThanOrEqual(0.005001);
      expect(Number.parseFloat(shown)).toBeLessThan(1000);
    }),
    { numRuns: runs(200) },
  );
});

test('durations use at most two units and never show 60 of one', () => {
  expect([0, 0.42, 9.94, 9.96, 47, 59.7, 372, 3599.7, 7500, 86399, 200000].map(humanDuration)).toEqual([
    '0.0s',
    '0.4s',
    '9.9s',
    '10s',
    '47s',
    '1m 00s',
    '6m 12s',
    '1h 00m',
    '2h 05m',
    '1d 00h',
    '2d 08h',
  ]);
  expect(humanDuration(Number.NaN)).toBe('?');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3e8 }), (tenths) => {
      expect(humanDuration(tenths / 10)).not.toMatch(/\b(6\d|[7-9]\d)[sm]\b/);
    }),
    { numRuns: runs(200) },
  );
});

test('figures that are not finite are named, not hidden', () => {
  expect([1.8424, Number.NaN, Number.NEGATIVE_INFINITY].map((x) => fixed(x, 3))).toEqual(['1.842', 'nan', '-inf']);
});
