import { describe, expect, test } from 'vitest';
import { groupTable, measureTables } from '../../../packages/cli/src/study/measure-tables.ts';
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

test('documents are compared by the part of their name before a slash, and not at all where there is none', () => {
  const named = (names: readonly string[], bpb: readonly number[]) => {
    const one = run(1e12, bpb);
    const documents = one.result.documents.map((document, i) => ({ ...document, name: names[i] }));
    return frontier([{ ...one, result: { ...one.result, documents } }]);
  };
  const arms = (names: readonly string[]) =>
    new Map([
      ['token', named(names, [2, 4, 3])],
      ['blt', named(names, [1, 4, 6])],
    ]);
  expect(groupTable(arms(['1795.txt', '1805.txt', '1815.txt']), 'token')).toBeNull();
  expect(groupTable(arms(['en/1', 'es/1', 'es/2']), 'token')!.rows).toEqual([
    ['en', 'token', '2.0000', ''],
    ['en', 'blt', '1.0000', '0.500 (0.500 to 0.500)'],
    ['es', 'token', '3.5000', ''],
    ['es', 'blt', '5.0000', expect.stringMatching(/^1\.429 \(1\.000 to 2\.000\)$/)],
  ]);
});

test('decoding is a table of the models that decode, and none where no model does', () => {
  const decoding = { bytes: 90, bytesRead: 100, globalSteps: 25, milliseconds: 50 };
  const taken = (found: typeof decoding | null): FinishedRun => ({
    ...run(1.5e13, [2]),
    measures: { 'decoding-1': { kind: 'decoding', decoding: found } },
  });
  expect(measureTables([taken(null)])).toEqual([]);
  const [{ rows, heads }] = measureTables([taken(null), taken(decoding)]);
  expect(rows).toEqual([['a, 1.5e13 FLOPs', '4.00', '0.500']]);
  expect(heads).toHaveLength(3);
});
