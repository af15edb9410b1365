/** @file results.json: the experiments and the figures of their runs. It is a function of the run folders alone, and the page of it alone. */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { reason, UserError } from '../terminal/errors.ts';
import { type Experiment, type Reference, reference } from './experiment.ts';
import { entropyRun, type RunConfig, runConfig, runName } from './run-config.ts';
import type { RunResult, StudyFolder } from './run-folders.ts';
import type { FinishedRun } from './statistics.ts';

/** An experiment in results.json: its arms name their runs. */
interface ListedExperiment {
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly baseline: string;
  readonly references: readonly Reference[];
  readonly runs: readonly { readonly arm: string; readonly run: string }[];
}

/** The contents of results.json. */
export interface Results {
  readonly format: 1;
  readonly experiments: readonly ListedExperiment[];
  readonly runs: Readonly<Record<string, { readonly config: RunConfig; readonly result: RunResult }>>;
}

/** The results of experiments as far as they are done. */
export function gather(experiments: readonly Experiment[], folder: StudyFolder): Results {
  const runs: Record<string, { config: RunConfig; result: RunResult }> = {};
  const add = (config: RunConfig): void => {
    const result = folder.result(config);
    if (result !== null) runs[runName(config)] = { config, result };
  };
  for (const { runs: named } of experiments) {
    for (const { config } of named) {
      add(config);
      const entropy = entropyRun(config);
      if (entropy !== null) add(entropy);
    }
  }
  const sorted = Object.fromEntries(Object.entries(runs).sort(([a], [b]) => (a < b ? -1 : 1)));
  const listed = experiments.map(({ runs: named, ...rest }) => {
    const pairs = named.map(({ arm, config }) => ({ arm, run: runName(config) }));
    const once = new Map(pairs.map((pair) => [`${pair.arm} ${pair.run}`, pair]));
    return { ...rest, runs: [...once.values()] };
  });
  return { format: 1, experiments: listed, runs: sorted };
}

/** The finished runs of an experiment. */
export const finishedRuns = (experiment: ListedExperiment, { runs }: Results): FinishedRun[] =>
  experiment.runs.flatMap(({ arm, run }) => (runs[run] ? [{ arm, name: run, ...runs[run] }] : []));

const shape = z.object({
  format: z.literal(1),
  experiments: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      question: z.string(),
      baseline: z.string(),
      references: z.array(reference),
      runs: z.array(z.object({ arm: z.string(), run: z.string() })),
    }),
  ),
  runs: z.record(z.string(), z.object({ config: runConfig, result: z.looseObject({ bitsPerByte: z.number() }) })),
});

/** Reads a results.json. @throws UserError if it is none */
export async function readResults(path: string): Promise<Results> {
  try {
    return shape.parse(JSON.parse(await readFile(path, 'utf8'))) as unknown as Results;
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).split('\n')[0] : reason(error);
    throw new UserError(`${path} is no results.json of blt study (${why}); give one that blt study wrote`);
  }
}
