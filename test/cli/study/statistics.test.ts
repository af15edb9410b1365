import { describe, expect, test } from 'vitest';
import { runConfig } from '../../../packages/cli/src/study/run-config.ts';
import {
  bpbRatio,
  computeMultiplier,
  type FinishedRun,
  flopsFor,
  frontier,
  lineThrough,
} from '../../../packages/cli/src/study/statistics.ts';
import { RECIPE } from '../../support/study-recipe.ts';

/** A run whose documents of 100 bytes have these bits per byte. */
function run(flops: number, bpb: readonly number[], given: object = {}): FinishedRun {
  const base = { ...RECIPE, kind: 'token', corpus: 'x', lr: 1e-3, vocab: 260, width: 8, layers: 1, flops };
  const documents = bpb.map((x, i) => ({ name: `${i}`, bits: 100 * x, bytes: 100 }));
  const bitsPerByte = bpb.reduce((sum, x) => sum + x, 0) / bpb.length;
  const result = { documents, bitsPerByte, flops: { total: flops } } as unknown as FinishedRun['result'];
  return { arm: 'a', name: '', config: runConfig.parse({ ...base, ...given }), result };
}

test('a line through two points in logarithms, and the FLOPs at which it reaches a value', () => {
  const line = lineThrough([
    { flops: 1e12, bitsPerByte: 4 },
    { flops: 1e14, bitsPerByte: 2 },
  ])!;
  expect(line.slope).toBeCloseTo(-Math.log10(2) / 2, 12);
  expect(flopsFor(line, 4)).toBeCloseTo(1e12, -2);
  expect(flopsFor(line, 2 * Math.SQRT2)! / 1e13).toBeCloseTo(1, 9);
  expect(flopsFor({ slope: 0, intercept: 1 }, 2)).toBeNull();
  expect(lineThrough([{ flops: 1, bitsPerByte: 1 }])).toBeNull();
});

test('the frontier has the best of each budget, seeds averaged before', () => {
  const found = frontier([
    run(2e12, [3]),
    run(1e12, [4]),
    run(1e12, [3.0], { lr: 2e-3, seed: 0 }),
    run(1e12, [5.5], { lr: 2e-3, seed: 1 }),
  ]);
  expect(found.map(({ bitsPerByte }) => bitsPerByte)).toEqual([4, 3]);
});

describe('intervals', () => {
  const point = (bpb: readonly number[], flops = 1e13) => frontier([run(flops, bpb)])[0];
  test('a ratio that is the same for every document has no width, however the documents differ', () => {
    const one = [1, 2, 3, 4, 5];
    const { value, low, high } = bpbRatio(point(one.map((x) => 1.1 * x)), point(one));
    for (const x of [value, low, high]) expect(x).toBeCloseTo(1.1, 12);
  });
  test('documents that disagree make a wide one, the same at each call', () => {
    const of = point([1, 2, 1, 2, 1, 2]);
    const found = bpbRatio(of, point([2, 1, 2, 1, 2, 1]));
    expect(found.value).toBe(1);
    expect(found.low).toBeLessThan(0.8);
    expect(found.high).toBeGreaterThan(1.25);
    expect(bpbRatio(of, point([2, 1, 2, 1, 2, 1]))).toEqual(found);
  });
  test('a model on the line of the baseline has the multiplier 1, one that needs ten times the FLOPs 10', () => {
    const baseline = [point([4], 1e12), point([2], 1e14)];
    expect(computeMultiplier(point([2 * Math.SQRT2], 1e13), baseline)!.value).toBeCloseTo(1, 9);
    expect(computeMultiplier(point([4], 1e13), baseline)!.value).toBeCloseTo(10, 9);
    expect(computeMultiplier(point([4], 1e13), baseline.slice(1))).toBeNull();
  });
});
