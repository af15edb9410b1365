/** @file The statistics of the study: frontiers, lines, compute multipliers, and intervals by resampling documents and seeds together. */
import { Random } from '@blt-ts/tensor';
import type { RunConfig } from './run-config.ts';
import type { RunResult } from './run-folders.ts';

/** A finished run of an arm. */
export interface FinishedRun {
  readonly arm: string;
  readonly name: string;
  readonly config: RunConfig;
  readonly result: RunResult;
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

/** log10 BPB = intercept + slope log10 FLOPs, by least squares. */
export interface Line {
  readonly intercept: number;
  readonly slope: number;
}

/** The line through points; null for fewer than two budgets. */
export function lineThrough(points: readonly { readonly flops: number; readonly bitsPerByte: number }[]): Line | null {
  if (points.length < 2) return null;
  const x = points.map(({ flops }) => Math.log10(flops));
  const y = points.map(({ bitsPerByte }) => Math.log10(bitsPerByte));
  const [mx, my] = [mean(x), mean(y)];
  const spread = x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
  if (spread === 0) return null;
  const slope = x.reduce((sum, v, i) => sum + (v - mx) * (y[i] - my), 0) / spread;
  return { slope, intercept: my - slope * mx };
}

/** FLOPs of the baseline for which it reaches these bits per byte, on its line; null if the line does not fall. */
export const flopsFor = ({ slope, intercept }: Line, bitsPerByte: number): number | null =>
  slope < 0 ? 10 ** ((Math.log10(bitsPerByte) - intercept) / slope) : null;

/** Bits per byte of runs on chosen documents, a document as often as it is chosen. */
function bpbOf(runs: readonly FinishedRun[], documents: readonly number[]): number {
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

/** Sums of a function over resamples: the value on all documents and runs, and the 2.5 and 97.5 percentiles. */
function resampled(value: number, draws: number, draw: (random: Random) => number): Interval {
  const random = new Random(0).fork('bootstrap');
  const values = Float64Array.from({ length: draws }, () => draw(random)).sort();
  const at = (share: number) => values[Math.min(draws - 1, Math.floor(share * draws))];
  return { value, low: at(0.025), high: at(0.975) };
}

/**
 * Ratio of bits per byte, `of` / `to`, with a 95 % interval. Each of the draws takes documents with replacement, the same for both, because
 * the comparison is paired, and seeds of each with replacement. @see Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13
 */
export function bpbRatio(of: Point, to: Point, draws = 2000): Interval {
  const count = of.runs[0].result.documents.length;
  const all = [...Array(count).keys()];
  const sample = (random: Random, runs: readonly FinishedRun[]) => runs.map(() => runs[random.integer(runs.length)]);
  return resampled(bpbOf(of.runs, all) / bpbOf(to.runs, all), draws, (random) => {
    const documents = all.map(() => random.integer(count));
    return bpbOf(sample(random, of.runs), documents) / bpbOf(sample(random, to.runs), documents);
  });
}

/**
 * How many times the FLOPs of the baseline an arm needs for the same bits per byte, at one of its points: FLOPs of the point / FLOPs at
 * which the baseline's line reaches its bits per byte. Below 1 the arm is cheaper. The interval resamples documents and seeds of both.
 */
export function computeMultiplier(point: Point, baseline: readonly Point[], draws = 2000): Interval | null {
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
  return resampled(value, draws, (random) => {
    const documents = Array.from({ length: count }, () => random.integer(count));
    const sample = (runs: readonly FinishedRun[]) => runs.map(() => runs[random.integer(runs.length)]);
    const points = baseline.map(({ flops, runs }) => ({ flops, bitsPerByte: bpbOf(sample(runs), documents) }));
    return multiplier(bpbOf(sample(point.runs), documents), points) ?? Number.POSITIVE_INFINITY;
  });
}
