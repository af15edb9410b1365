import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupMeans, sparkline } from '../../packages/cli/src/sparkline.ts';
import { runs } from '../support/runs.ts';

const BLOCKS = '▁▂▃▄▅▆▇█';
const value = fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024);
const series = fc.array(value, { maxLength: 200 });
const numRuns = runs(100);

test('a sparkline has one block a value, and never more than its width', () => {
  fc.assert(
    fc.property(series, fc.integer({ min: 1, max: 80 }), (values, width) => {
      expect([...sparkline(values, { width })]).toHaveLength(Math.min(width, values.length));
    }),
    { numRuns },
  );
});

test('the smallest value is the lowest block, the largest the highest, and order is kept', () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 2, maxLength: 60 }), (values) => {
      const levels = [...sparkline(values)].map((block) => BLOCKS.indexOf(block));
      const [min, max] = [Math.min(...values), Math.max(...values)];
      expect(levels[values.indexOf(min)]).toBe(0);
      expect(levels[values.indexOf(max)]).toBe(max > min ? BLOCKS.length - 1 : 0);
      for (let i = 0; i < values.length; i++)
        for (let j = 0; j < values.length; j++)
          if (values[i] <= values[j]) expect(levels[i]).toBeLessThanOrEqual(levels[j]);
    }),
    { numRuns: runs(30) },
  );
});

test('shifting and doubling all values leaves the picture alone', () => {
  fc.assert(
    fc.property(series, fc.integer({ min: -8, max: 8 }), (values, shift) => {
      expect(sparkline(values.map((v) => 2 * v + shift))).toBe(sparkline(values));
    }),
    { numRuns },
  );
});

test('group means keep the total when groups are equal, and pass over what is not finite', () => {
  expect(groupMeans([1, 2, 3, 4], 2)).toEqual([1.5, 3.5]);
  expect(groupMeans([1, Number.NaN, Number.NaN, Number.NaN], 2)).toEqual([1, Number.NaN]);
  expect(sparkline([1, Number.NaN, 3])).toBe('▁ █');
  expect(sparkline([])).toBe('');
  expect(sparkline([1, 2, 3, 4])).toBe('▁▃▆█');
});

test('values outside a given range are drawn at its edge', () => {
  expect(sparkline([-5, 0, 1, 9], { min: 0, max: 1 })).toBe('▁▁██');
});
