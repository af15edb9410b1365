/** @file The statistics of the study: frontiers, lines, compute multipliers, and intervals by resampling documents and seeds together. */
import { Random } from '@blt-ts/tensor';
import type { Measured } from './measure.ts';
import type { RunConfig } from './run-config.ts';
import type { RunResult } from './run-folders.ts';

/** A finished run of an arm. */
export interface FinishedRun {
  readonly arm: string;
  readonly name: string;
  readonly config: RunConfig;
  readonly result: RunResult;
  readonly measures?: Readonly<Record<string, Measured>>;
}

/** Runs of one configuration under several seeds. */
export interface Point {
  readonly runs: readonly FinishedRun[];
  /** Mean training FLOPs. */
  readonly flops: number;
  /** Mean bits per byte. */
  readonly bitsPerByte: number;
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Groups by a key, in the order in which the keys first come. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** The runs of an arm as points: those that differ in the seed alone are one. */
function pointsOf(runs: readonly FinishedRun[]): Point[] {
  const groups = groupBy(runs, ({ config }) => JSON.stringify({ ...config, seed: null }));
  return [...groups.values()].map((group) => ({
    runs: group,
    flops: mean(group.map(({ result }) => result.flops.total)),
    bitsPerByte: mean(group.map(({ result }) => result.bitsPerByte)),
  }));
}

/** The best point of each budget, budgets ascending: what an arm reaches with its best size and rate. */
export function frontier(runs: readonly FinishedRun[]): Point[] {
  const budgets = groupBy(pointsOf(runs), ({ runs: [{ config }] }) => String(config.flops));
  return [...budgets.values()]
    .map((points) => points.reduce((best, point) => (point.bitsPerByte < best.bitsPerByte ? point : best)))
    .sort((a, b) => a.flops - b.flops);
}

/** A line y = intercept + slope x. */
export interface Line {
  readonly intercept: number;
  readonly slope: number;
}

/** y = intercept + slope x by least squares; null for fewer than two different x. */
export function leastSquares(x: readonly number[], y: readonly number[]): Line | null {
  const [mx, my] = [mean(x), mean(y)];
  const spread = x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
  if (x.length < 2 || spread === 0) return null;
  const slope = x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0) / spread;
  return { slope, intercept: my - slope * mx };
}

/** log10 BPB = intercept + slope log10 FLOPs through points; null for fewer than two budgets. */
export const lineThrough = (points: readonly { readonly flops: number; readonly bitsPerByte: number }[]): Line | null =>
  leastSquares(
    points.map(({ flops }) => Math.log10(flops)),
    points.map(({ bitsPerByte }) => Math.log10(bitsPerByte)),
  );

/** Ranks of values, from 1; equal values share the mean of their ranks. */
function ranks(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  return values.map((x) => (sorted.indexOf(x) + sorted.lastIndexOf(x)) / 2 + 1);
}

/** Spearman's rank correlation; 0 where one side is the same everywhere. @see Spearman 1904, The proof and measurement of association */
export function spearman(x: readonly number[], y: readonly number[]): number {
  const [a, b] = [ranks(x), ranks(y)];
  const [down, up] = [leastSquares(a, b), leastSquares(b, a)];
  return down === null || up === null ? 0 : Math.sign(down.slope) * Math.sqrt(down.slope * up.slope);
}

/** FLOPs of the baseline for which it reaches these bits per byte, on its line; null if the line does not fall. */
export const flopsFor = ({ slope, intercept }: Line, bitsPerByte: number): number | null =>
  slope < 0 ? 10 ** ((Math.log10(bitsPerByte) - intercept) / slope) : null;

/** Bits per byte of runs on chosen documents, a document as often as it is chosen. */
export function bpbOf(runs: readonly FinishedRun[], documents: readonly number[]): number {
  let [bits, bytes] = [0, 0];
  for (const { result } of runs) {
    for (const d of documents) {
      bits += result.documents[d].bits;
      bytes += result.documents[d].bytes;
    }
  }
  return bits / bytes;
}

/** A figure with its 95 % interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** An estimate, its 95 % interval, and its value in each resample, ascending. */
export interface Estimate extends Interval {
  readonly draws: Float64Array;
}

/** Resamples behind an interval. */
export const DRAWS = 2000;

/** The interval of an estimate that misses with the probability `error`, half of it at each end. */
export function intervalAt({ value, draws }: Estimate, error: number): Interval {
  const at = (share: number) => draws[Math.min(draws.length - 1, Math.floor(share * draws.length))];
  return { value, low: at(error / 2), high: at(1 - error / 2) };
}

/** An estimate from its value on all data and from its values in resamples, of which `draw` makes one. */
export function resampled(value: number, draw: (random: Random) => number, count = DRAWS): Estimate {
  const random = new Random(0).fork('bootstrap');
  const draws = Float64Array.from({ length: count }, () => draw(random)).sort();
  const empty = { value, low: value, high: value, draws };
  return { ...empty, ...intervalAt(empty, 0.05) };
}

/** As many indices below `count`, by chance and with replacement. */
export const redrawn = (count: number, random: Random): number[] =>
  Array.from({ length: count }, () => random.integer(count));

/** As many of the items, by chance and with replacement. */
export const resample = <T>(items: readonly T[], random: Random): T[] =>
  redrawn(items.length, random).map((i) => items[i]);

/**
 * Ratio of bits per byte, `of` / `to`, with a 95 % interval. Each of the draws takes documents with replacement, the same for both, because
 * the comparison is paired, and seeds of each with replacement. @see Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13
 */
export function bpbRatio(of: Point, to: Point): Estimate {
  const count = of.runs[0].result.documents.length;
  const all = [...Array(count).keys()];
  return resampled(bpbOf(of.runs, all) / bpbOf(to.runs, all), (random) => {
    const documents = redrawn(count, random);
    return bpbOf(resample(of.runs, random), documents) / bpbOf(resample(to.runs, random), documents);
  });
}

/**
 * How many times the FLOPs of the baseline an arm needs for the same bits per byte, at one of its points: FLOPs of the point / FLOPs at
 * which the baseline's line reaches its bits per byte. Below 1 the arm is cheaper. The interval resamples documents and seeds of both.
 */
export function computeMultiplier(point: Point, baseline: readonly Point[]): Estimate | null {
  const multiplier = (
    bitsPerByte: number,
    points: readonly { flops: number; bitsPerByte: number }[],
  ): number | null => {
    const line = lineThrough(points);
    const needed = line && flopsFor(line, bitsPerByte);
    return needed === null ? null : point.flops / needed;
  };
  const value = multiplier(point.bitsPerByte, baseline);
  if (value === null) return null;
  const count = point.runs[0].result.documents.length;
  return resampled(value, (random) => {
    const documents = redrawn(count, random);
    const points = baseline.map(({ flops, runs }) => ({
      flops,
      bitsPerByte: bpbOf(resample(runs, random), documents),
    }));
    return multiplier(bpbOf(resample(point.runs, random), documents), points) ?? Number.POSITIVE_INFINITY;
  });
}

/** The 95 % interval of a share, `right` of `of`. @see Wilson 1927, Probable inference, the law of succession, and statistical inference */
export function wilson(right: number, of: number): Interval {
  const [z, p] = [1.959964, right / of];
  const middle = (p + z ** 2 / (2 * of)) / (1 + z ** 2 / of);
  const half = (z / (1 + z ** 2 / of)) * Math.sqrt((p * (1 - p)) / of + z ** 2 / (4 * of ** 2));
  return { value: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
