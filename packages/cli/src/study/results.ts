/** @file results.json: the experiments and the figures of their runs. It is a function of the run folders alone, and the page of it alone. */

import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { reason, UserError } from '../terminal/errors.ts';
import { type Experiment, type Reference, reference } from './experiment.ts';
import { type Measure, type Measured, measured, measureName } from './measure.ts';
import { entropyRun, type RunConfig, runConfig, runName } from './run-config.ts';
import { jsonFile, type RunResult, type StudyFolder } from './run-folders.ts';
import type { FinishedRun } from './statistics.ts';

/** An experiment in results.json: its arms name their runs. */
interface ListedExperiment {
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly baseline: string;
  readonly references: readonly Reference[];
  /** Names of the measures, as the runs have them. */
  readonly measures: readonly string[];
  readonly runs: readonly { readonly arm: string; readonly run: string }[];
}

/** The contents of results.json. */
export interface Results {
  readonly format: 1;
  readonly experiments: readonly ListedExperiment[];
  readonly runs: Readonly<Record<string, GatheredRun>>;
}

/** A run in results.json. */
interface GatheredRun {
  readonly config: RunConfig;
  readonly result: RunResult;
  readonly measures: Readonly<Record<string, Measured>>;
}

/** The results of experiments as far as they are done. */
export function gather(experiments: readonly Experiment[], folder: StudyFolder): Results {
  const runs: Record<string, GatheredRun> = {};
  const add = (config: RunConfig, wanted: readonly Measure[]): void => {
    const result = folder.result(config);
    if (result === null) return;
    const measures: Record<string, Measured> = { ...runs[runName(config)]?.measures };
    for (const one of wanted) {
      const figures = measured(config, one, folder);
      if (figures !== null) measures[measureName(one)] = figures;
    }
    runs[runName(config)] = { config, result, measures };
  };
  for (const { runs: named, measures } of experiments) {
    for (const { config } of named) {
      add(config, measures);
      const entropy = entropyRun(config);
      if (entropy !== null) add(entropy, []);
    }
  }
  const sorted = Object.fromEntries(Object.entries(runs).sort(([a], [b]) => (a < b ? -1 : 1)));
  const listed = experiments.map(({ runs: named, measures, ...rest }) => {
    const pairs = named.map(({ arm, config }) => ({ arm, run: runName(config) }));
    const once = new Map(pairs.map((pair) => [`${pair.arm} ${pair.run}`, pair]));
    return { ...rest, measures: measures.map(measureName), runs: [...once.values()] };
  });
  return { format: 1, experiments: listed, runs: sorted };
}

/** The finished runs of an experiment. */
export const finishedRuns = (experiment: ListedExperiment, { runs }: Results): FinishedRun[] =>
  experiment.runs.flatMap(({ arm, run }) => (runs[run] ? [{ arm, name: run, ...runs[run] }] : []));

/** The text of results.json: an experiment or a run on each line. */
export function resultsText({ format, experiments, runs }: Results): string {
  const listed = experiments.map((one) => JSON.stringify(one)).join(',\n');
  const named = Object.entries(runs).map(([name, run]) => `${JSON.stringify(name)}:${JSON.stringify(run)}`);
  return `{"format":${format},"experiments":[\n${listed}\n],"runs":{\n${named.join(',\n')}\n}}\n`;
}

/** Names of measures as `measureName` makes them, so that no name is a path to somewhere else. */
const MEASURE = /^[a-z]+-[0-9a-f]{8}$/;

/**
 * Takes the finished runs of a results.json over into a folder, without their weights. Runs that are there stay.
 * @returns the number of runs taken over
 */
export async function takeOver({ runs }: Results, folder: StudyFolder): Promise<number> {
  let taken = 0;
  for (const { config, result, measures } of Object.values(runs)) {
    if (folder.isDone(config)) continue;
    await folder.write(folder.runPath(config, 'config.json'), jsonFile(config));
    for (const [name, figures] of Object.entries(measures))
      await folder.write(folder.runPath(config, `${name}.json`), `${JSON.stringify(figures)}\n`);
    await folder.write(folder.runPath(config, 'result.json'), jsonFile(result));
    taken++;
  }
  return taken;
}

const gatheredRun = z.looseObject({
  config: runConfig,
  result: z.looseObject({ bitsPerByte: z.number() }),
  measures: z.record(z.string().regex(MEASURE), z.looseObject({ kind: z.string() })),
});

const shape = z.object({
  format: z.literal(1),
  experiments: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      question: z.string(),
      baseline: z.string(),
      references: z.array(reference),
      measures: z.array(z.string()),
      runs: z.array(z.object({ arm: z.string(), run: z.string() })),
    }),
  ),
  runs: z.record(z.string(), gatheredRun),
});

/** Reads a results.json. @throws UserError if it is none */
export async function readResults(path: string): Promise<Results> {
  try {
    // Returned as it was read, because the schema would change the order of keys, and so the text of the next results.json.
    const results = JSON.parse(await readFile(path, 'utf8'));
    shape.parse(results);
    return results;
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).split('\n')[0] : reason(error);
    throw new UserError(`${path} is no results.json of blt study (${why}); give one that blt study wrote`);
  }
}
