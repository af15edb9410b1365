import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineChart, niceTicks, thinned, yRange } from '../../../packages/cli/src/report/line-chart.ts';
import { runs } from '../../support/runs.ts';

const value = fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024);
const points = fc.array(fc.record({ x: fc.nat(1000), y: value }), { minLength: 1, maxLength: 60 });

test('ticks lie inside the range, evenly, at most twice as many as asked for', () => {
  fc.assert(
    fc.property(value, fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 2, max: 10 }), (low, span, count) => {
      const high = low + span / 1024;
      const ticks = niceTicks(low, high, count);
      expect(ticks.length).toBeLessThanOrEqual(count + 1);
      for (const tick of ticks) {
        expect(tick).toBeGreaterThanOrEqual(low - 1e-9);
        expect(tick).toBeLessThanOrEqual(high + 1e-9);
      }
      const gaps = ticks.slice(1).map((tick, i) => tick - ticks[i]);
      for (const gap of gaps) expect(gap).toBeCloseTo(gaps[0], 9);
    }),
    { numRuns: runs(200) },
  );
  expect(niceTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(niceTicks(1.4, 3.7, 5)).toEqual([1.5, 2, 2.5, 3, 3.5]);
  expect(niceTicks(2, 2, 5)).toEqual([2]);
});

test('thinning keeps both ends, the count, and the mean height of equal groups', () => {
  fc.assert(
    fc.property(points, fc.integer({ min: 3, max: 20 }), (all, count) => {
      const few = thinned(all, count);
      expect(few).toHaveLength(Math.min(all.length, count));
      expect(few[0]).toEqual(all[0]);
      expect(few.at(-1)).toEqual(all.at(-1));
      if (all.length <= count) return;
      // Point i of the others belongs to the group floor(i groups / others), give or take the rounding of its ends.
      const others = all.slice(1, -1);
      const begin = (group: number) => Math.floor((group * others.length) / (count - 2));
      for (let group = 0; group < count - 2; group++) {
        const part = others.slice(begin(group), begin(group + 1));
        expect(few[group + 1].y).toBeCloseTo(part.reduce((sum, { y }) => sum + y, 0) / part.length, 6);
        expect(few[group + 1].x).toBeCloseTo(part.reduce((sum, { x }) => sum + x, 0) / part.length, 6);
      }
    }),
    { numRuns: runs(100) },
  );
});

test('the range holds every reference and every point after the first twentieth', () => {
  fc.assert(
    fc.property(points, fc.array(value, { maxLength: 3 }), (all, heights) => {
      const references = heights.map((y) => ({ name: 'r', y }));
      const xMax = Math.max(...all.map(({ x }) => x));
      const [low, high] = yRange({ series: [{ name: 's', points: all, color: '', strokeWidth: 1 }], references }, xMax);
      expect(low).toBeLessThan(high);
      for (const y of [...heights, ...all.filter(({ x }) => x >= xMax / 20).map((p) => p.y)]) {
        expect(y).toBeGreaterThanOrEqual(low);
        expect(y).toBeLessThanOrEqual(high);
      }
    }),
    { numRuns: runs(100) },
  );
});

test('no coordinate of a drawing is NaN, whatever the points', () => {
  const any = fc.oneof(value, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 0));
  fc.assert(
    fc.property(fc.array(fc.record({ x: any.map(Math.abs), y: any }), { maxLength: 5 }), any, (all, y) => {
      const html = lineChart({
        series: [{ name: 's', points: all, color: '--held', strokeWidth: 1 }],
        references: [{ name: 'r', y }],
        mark: { x: 1, y, label: 'm' },
        xLabel: 'x',
        yLabel: 'y',
        formatX: String,
      });
      expect(html).not.toMatch(/NaN|Infinity|undefined/);
    }),
    { numRuns: runs(100) },
  );
});
