/** @file The derivation on the page of the study, computed once more from docs/study/results.json by the page's own formulas. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runConfig, runName } from '../../../packages/cli/src/study/run-config.ts';
import { groupBy } from '../../../packages/cli/src/study/statistics.ts';

const read = (path: string): string => readFileSync(new URL(`../../../docs/study/${path}`, import.meta.url), 'utf8');
/** The part of results.json that the derivation needs. */
interface Run {
  readonly config: { readonly flops: number; readonly lr: number; readonly seed: number };
  readonly result: {
    readonly documents: readonly { readonly bits: number; readonly bytes: number }[];
    readonly flops: { readonly total: number };
  };
}
const results: {
  readonly experiments: readonly { name: string; runs: readonly { arm: string; run: string }[] }[];
  readonly runs: Readonly<Record<string, Run>>;
} = JSON.parse(read('results.json'));

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Step 2: bits per byte of a run. */
const bpbOf = ({ result: { documents } }: Run): number =>
  documents.reduce((sum, { bits }) => sum + bits, 0) / documents.reduce((sum, { bytes }) => sum + bytes, 0);

/** Steps 1 and 3: the best point of each budget of an arm of the ladder. */
function pointsOf(arm: string): { budget: number; bpb: number; flops: number }[] {
  const listed = results.experiments.find(({ name }) => name === 'ladder')!.runs.filter((one) => one.arm === arm);
  const done = listed.flatMap(({ run }) => results.runs[run] ?? []);
  const alike = groupBy(done, ({ config }) => JSON.stringify({ ...config, seed: 0 }));
  const points = [...alike.values()].map((runs) => ({
    budget: runs[0].config.flops,
    bpb: mean(runs.map(bpbOf)),
    flops: mean(runs.map(({ result }) => result.flops.total)),
  }));
  const budgets = [...new Set(points.map(({ budget }) => budget))].sort((a, b) => a - b);
  return budgets.map((budget) =>
    points.filter((one) => one.budget === budget).reduce((a, b) => (b.bpb < a.bpb ? b : a)),
  );
}

test('every run has the name of its configuration, and numbers that can be added up', () => {
  for (const [name, { config, result }] of Object.entries(results.runs)) {
    expect(runName(runConfig.parse(config))).toBe(name);
    for (const { bits, bytes } of result.documents) expect(bits > 0 && bytes > 0).toBe(true);
  }
});

test('the derivation of the headline is that of the formulas', () => {
  const [tokens, blts] = [pointsOf('token'), pointsOf('BLT entropy')];
  const blt = blts.filter(({ budget }) => tokens.some((one) => one.budget === budget)).at(-1)!;
  const token = tokens.find(({ budget }) => budget === blt.budget)!;
  const [x, y] = [tokens.map(({ flops }) => Math.log10(flops)), tokens.map(({ bpb }) => Math.log10(bpb))];
  const [mx, my] = [mean(x), mean(y)];
  const b = mean(x.map((v, i) => (v - mx) * (y[i] - my))) / mean(x.map((v) => (v - mx) ** 2));
  const a = my - b * mx;
  const needed = 10 ** ((Math.log10(blt.bpb) - a) / b);
  const page = read('README.md');
  const text = page.slice(page.indexOf('<!-- study derivation -->'));
  const number = (pattern: RegExp): number => Number(pattern.exec(text)![1]);
  expect(number(/The budget is (\S+) FLOPs/)).toBe(blt.budget);
  expect(number(/The ratio is \S+ \/ \S+ = (\S+)\. /)).toBeCloseTo(blt.bpb / token.bpb, 4);
  expect(number(/has b = (\S+) and/)).toBeCloseTo(b, 6);
  expect(number(/and a = (\S+)\./)).toBeCloseTo(a, 6);
  expect(number(/bits per byte at (\S+) FLOPs/) / needed).toBeCloseTo(1, 3);
  expect(number(/The compute multiplier is (\S+) \(/)).toBeCloseTo(blt.flops / needed, 3);
});
