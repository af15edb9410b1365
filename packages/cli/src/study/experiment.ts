/** @file Experiments as files: named arms, each a configuration with rungs and sweeps, which become runs. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'smol-toml';
import * as z from 'zod';
import { packageFolder } from '../files/package-folder.ts';
import { readSmallFile } from '../files/small-file.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { type Measure, measure } from './measure.ts';
import { type RunConfig, runConfig } from './run-config.ts';

const options = z.record(z.string(), z.unknown());

/** A known figure to stand beside those of the runs, such as a compressor's on the same bytes. */
export const reference = z.strictObject({
  name: z.string(),
  bits_per_byte: z.number().positive(),
  /** The corpus that it is of, in an experiment with several. */
  corpus: z.string().optional(),
});

/** See `reference`. */
export type Reference = z.infer<typeof reference>;

const schema = z.strictObject({
  title: z.string(),
  question: z.string(),
  /** The arm that the others are compared with. */
  baseline: z.string(),
  references: z.array(reference).default([]),
  /** Taken of every run when it is done. */
  measures: z.array(measure).default([]),
  /** Options of every arm. */
  defaults: options.default({}),
  /** Options of every arm of one kind. */
  token: options.default({}),
  patch: options.default({}),
  arms: z
    .array(
      z
        .object({
          name: z.string(),
          /** Options that go together, a size and its budget say: each rung is a run. */
          rungs: z.array(options).default([{}]),
          /** Lists of values: every combination of them is a run. */
          sweep: z.record(z.string(), z.array(z.unknown())).default({}),
        })
        .catchall(z.unknown()),
    )
    .min(1),
});

/** A run as an experiment names it. */
export interface NamedRun {
  readonly arm: string;
  readonly config: RunConfig;
}

/** An experiment: a question and the runs that answer it. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly baseline: string;
  readonly references: readonly Reference[];
  readonly measures: readonly Measure[];
  readonly runs: readonly NamedRun[];
}

/** Every choice of one value from each list. */
const combinations = (sweep: Record<string, unknown[]>): Record<string, unknown>[] =>
  Object.entries(sweep).reduce<Record<string, unknown>[]>(
    (all, [key, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [key]: value }))),
    [{}],
  );

/** The folder of the experiments that the command brings: `study` in its package. */
const shelf = (): string => join(packageFolder(), 'study');

/** Names of the experiments that the command brings. */
export const experimentNames = (): string[] =>
  readdirSync(shelf())
    .filter((file) => file.endsWith('.toml'))
    .map((file) => basename(file, '.toml'))
    .sort();

/**
 * An experiment by name or from a file. @param corpus instead of the one that the file names
 * @throws UserError naming the file and what is wrong with it
 */
export function readExperiment(nameOrFile: string, corpus?: string): Experiment {
  const file = nameOrFile.endsWith('.toml') ? nameOrFile : join(shelf(), `${nameOrFile}.toml`);
  let text: string;
  try {
    text = readSmallFile(file);
  } catch (error) {
    const known = experimentNames().join(', ');
    throw new UserError(
      `cannot read the experiment ${nameOrFile} (${reason(error)}); give a .toml file or one of ${known}`,
      2,
    );
  }
  try {
    const { defaults, token, patch, arms, ...rest } = schema.parse(parse(text));
    const kinds: Record<string, object> = { token, patch };
    const runs = arms.flatMap(({ name: arm, rungs, sweep, ...own }) =>
      rungs.flatMap((rung) =>
        combinations(sweep).map((choice) => {
          const chosen: Record<string, unknown> = { ...own, ...rung, ...choice };
          const given = { ...defaults, ...kinds[String(chosen.kind ?? defaults.kind)], ...chosen };
          return { arm, config: runConfig.parse(corpus === undefined ? given : { ...given, corpus }) };
        }),
      ),
    );
    if (!runs.some(({ arm }) => arm === rest.baseline))
      throw new Error(`no arm is called ${rest.baseline}, the baseline`);
    return { ...rest, name: basename(file, '.toml'), runs };
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).replaceAll('\n', ' ') : reason(error);
    throw new UserError(`${file}: ${why}; mend the file`, 2);
  }
}

/** The pages that stand for a corpus. */
function smokeCorpus(corpus: string): string {
  if (/^(spelling|characters)-/.test(corpus)) return 'smoke-letters';
  return corpus === 'languages' ? 'smoke-languages' : 'smoke';
}

/**
 * The same experiment on a text of some pages with models of some thousand weights: every part of the study runs, and no figure means
 * anything. Runs that differ in size alone become one.
 */
export function smokeOf(experiment: Experiment): Experiment {
  const small = (config: RunConfig): RunConfig => {
    const tiny = {
      corpus: smokeCorpus(config.corpus),
      row_bytes: 64,
      batch_rows: 2,
      excerpt_bytes: 256,
      seed: 0,
      flops: config.flops / 1e7,
    };
    if (config.kind === 'token') {
      return { ...config, ...tiny, vocab: Math.min(config.vocab, 300), width: 16, layers: 1, ngram_rows: 32 };
    }
    return {
      ...config,
      ...tiny,
      ...{ local_width: 16, encoder_layers: 1, decoder_layers: 1, global_width: 32, global_layers: 1, hash_vocab: 32 },
      ...{ entropy_width: 16, entropy_layers: 1, entropy_window: 32, entropy_flops: 1 },
    };
  };
  const flops = experiment.runs.map(({ config }) => config.flops);
  const ends = [flops.reduce((a, b) => Math.min(a, b)), flops.reduce((a, b) => Math.max(a, b))];
  const runs = experiment.runs.filter(({ config }) => ends.includes(config.flops));
  const measures = experiment.measures.map((one) =>
    one.kind === 'noise'
      ? { ...one, excerpt_bytes: 64, items: 2 }
      : one.kind === 'tasks'
        ? { ...one, items: 4 }
        : { ...one, texts: 1, prompt_bytes: 8, bytes: 8 },
  );
  return { ...experiment, measures, runs: runs.map(({ arm, config }) => ({ arm, config: small(config) })) };
}
