/**
 * @file `blt train`: makes the job of a new run (`newJob`) or of one that is resumed (`resumedJob`), shows its plan, and trains. The training
 * itself is in training/training-run.ts.
 */
import { join } from 'node:path';
import type { WarmStart } from '@blt-ts/blt';
import { type Choice, chooseBackend } from '../config/backend-choice.ts';
import { loadConfig, overrideConfig } from '../config/config-file.ts';
import type { FileConfig } from '../config/config-schema.ts';
import { camelCase, flagOf, OPTIONS, type OptionRow } from '../config/options.ts';
import { corpusIds, dataTitle, type LoadedCorpus, loadCorpus } from '../data/corpus.ts';
import { totalBytes } from '../data/document.ts';
import { documentListText, heldOutHash } from '../data/document-list.ts';
import { HELD_OUT_FRACTION, splitHash } from '../data/split.ts';
import { changedData } from '../run/changed-data.ts';
import { freeRunName, RunFolder } from '../run/folder.ts';
import { DEFAULT_HOUSEKEEPING, housekeepingOf } from '../run/housekeeping.ts';
import { RunLock } from '../run/lock.ts';
import { parseRecord, type RunRecord, recordText } from '../run/record.ts';
import { printableMessage, UserError } from '../terminal/errors.ts';
import { endAtSignal } from '../terminal/interrupt.ts';
import { type TrainingOutput, trainingOutput } from '../terminal/training-output.ts';
import { checkSize } from '../training/enough-data.ts';
import { extended } from '../training/extension.ts';
import { learnsHeldOut } from '../training/held-out-before.ts';
import {
  isFitted,
  type PlannedRun,
  planNewRun,
  plannedBytes,
  planOf,
  resumedPlan,
  sampled,
} from '../training/planned-run.ts';
import { type PlannedJob, sayPlan } from '../training/say-plan.ts';
import { type Position, TimeBudget } from '../training/time-budget.ts';
import { TrainingRun } from '../training/training-run.ts';
import { openWarmStart, reopenWarmStart } from '../training/warm-start.ts';
import { VERSION } from '../version.ts';

/** The flags of `blt train`; those of the table of options come under their camelCase names. */
export interface TrainFlags {
  readonly config?: string;
  readonly resume?: string;
  readonly runs: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
  readonly tensorboard?: boolean;
  readonly detectAnomaly?: boolean;
  readonly [flag: string]: unknown;
}

type Warn = (message: string) => void;

const asList = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** Everything that is decided before training begins. */
interface Job extends PlannedJob {
  /** The folder of the run, locked; null with --dry-run. */
  readonly place: { readonly folder: RunFolder; readonly lock: RunLock } | null;
  /** Pretrained weights and prepared entropies. Needed by a run that has not made its patches yet. */
  readonly warmStart: () => Promise<WarmStart>;
}

const backendFor = (config: FileConfig, flags: TrainFlags): Promise<Choice> =>
  chooseBackend({
    ...config,
    needsCpu: flags.detectAnomaly ? '--detect-anomaly reads every result at once' : undefined,
  });

/** A new run from config file and flags. */
async function newJob(flags: TrainFlags, warn: Warn): Promise<Job> {
  const fileConfig = flags.config ? await loadConfig(flags.config) : {};
  const config = overrideConfig(fileConfig, flags);
  const source = {
    data: [...asList(config.data?.data)],
    heldOut: config.data?.held_out === undefined ? null : [...asList(config.data.held_out)],
    heldOutFraction: config.data?.held_out_fraction ?? HELD_OUT_FRACTION,
    dedupe: config.data?.dedupe ?? false,
    textField: config.data?.text_field ?? null,
    raw: config.data?.raw ?? false,
  };
  const chosen = { ...source, split: config.data?.split ?? 'auto', seed: config.seed };
  const split = await loadCorpus(chosen, warn);
  const hash = splitHash(split);
  const start = await openWarmStart(config, () => corpusIds(split), hash, warn);
  const opened = { ...start, options: { ...start.options, ...(split.weights && { mixture: split.weights }) } };
  checkSize(split, planOf(opened.options, plannedBytes(split)), source);
  const learned = config.from === undefined ? null : await learnsHeldOut(config.from, split.train);
  if (learned !== null) warn(learned);
  // Before the folder is made: a backend that is not there leaves nothing behind.
  const choice = await backendFor(config, flags);
  const housekeeping = housekeepingOf(DEFAULT_HOUSEKEEPING, config, flags);
  const request = {
    ...opened,
    split,
    backend: choice.backend,
    minutes: housekeeping.minutes,
    memory: housekeeping.memory,
    warn,
  };
  const planned = await planNewRun(request);
  const { plan, sample } = planned;
  const fitted = isFitted(request);
  const name = config.run ?? freeRunName(flags.runs, config.size ?? 'nano');
  const written: RunRecord = {
    format: 1,
    version: VERSION,
    command: `blt ${process.argv.slice(2).join(' ')}`,
    startedAt: new Date().toISOString(),
    ...source,
    split: split.mode ?? undefined,
    splits: split.splits && [...split.splits],
    dataHash: hash,
    heldOutHash: heldOutHash(split),
    prepared: config.data?.prepared ?? null,
    ...(Object.values(sample).every((bytes) => bytes === null) ? {} : { sample }),
    // A time that the steps were fitted to is in the steps from then on.
    ...(fitted ? { fittedMinutes: housekeeping.minutes! } : {}),
    care: fitted ? { ...housekeeping, minutes: null } : housekeeping,
    plan,
  };
  // Written and read again, as a resume will read it, because what is saved must not depend on where a run was interrupted.
  const record = parseRecord(recordText(written), 'config.json');
  const path = join(flags.runs, name);
  const budget = budgetOf(planned, housekeeping.minutes, fitted);
  const job = { path, record, warmStart: async () => opened.warmStart(plan), planned, budget, ...split };
  return { choice, place: flags.dryRun ? null : await makeFolder(path, record, split), ...job };
}

/** Makes the folder of a new run, with the list of its documents. */
async function makeFolder(path: string, record: RunRecord, corpus: LoadedCorpus): Promise<NonNullable<Job['place']>> {
  const place = await RunFolder.create(path, record);
  try {
    await place.folder.writeDocumentList(documentListText(corpus));
  } catch (error) {
    await place.lock.release();
    throw error;
  }
  return place;
}

const budgetOf = ({ work, rates }: PlannedRun, minutes: number | null, fitted: boolean): TimeBudget =>
  new TimeBudget(work, rates, minutes === null ? null : { minutes, fitted });

const ROWS: readonly OptionRow[] = OPTIONS;
const flagName = (row: OptionRow): string => camelCase(flagOf(row));

/** A run that was stopped, with the data it had. @throws UserError if the data has changed, or a flag would change the run */
async function resumedJob(flags: TrainFlags, warn: Warn): Promise<Job> {
  const path = flags.resume!;
  const fixed = ROWS.find((row) => row.resume !== true && flags[flagName(row)] !== undefined);
  if (fixed !== undefined) {
    throw new UserError(
      `--${flagOf(fixed)} cannot be changed by --resume: the run goes on as it was planned; leave it out, or start a new run`,
      2,
    );
  }
  const folder = new RunFolder(path);
  const record = await folder.record();
  const lock = flags.dryRun ? null : await RunLock.acquire(path);
  try {
    const split = await loadCorpus({ ...record, seed: record.plan.seed }, warn);
    if (splitHash(split) !== record.dataHash) throw await changedData(folder, record, split);
    const config = overrideConfig(
      {},
      Object.fromEntries(ROWS.filter((row) => row.resume).map((row) => [flagName(row), flags[flagName(row)]])),
    );
    const housekeeping = housekeepingOf(record.care, config, flags);
    checkSize(split, record.plan, record);
    const choice = await backendFor(config, flags);
    const wish = { steps: config.train?.steps, minutes: config.train?.minutes, write: lock !== null };
    const short = await resumedPlan(record, split, choice.backend);
    const fits = (minutes: number, at: Position) => budgetOf(short, minutes, true).newEnd(at);
    const { record: longer, fitted } = await extended(folder, record, wish, fits, warn);
    const planned = longer === record ? short : await resumedPlan(longer, split, choice.backend);
    const job = {
      path,
      record: { ...longer, care: fitted ? { ...housekeeping, minutes: null } : housekeeping },
      warmStart: () => reopenWarmStart(record, () => corpusIds(split)),
      planned,
      budget: budgetOf(planned, housekeeping.minutes, fitted),
      ...split,
    };
    return { choice, place: lock && { folder, lock }, ...job };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

/** `blt train`. @returns the exit code */
export async function train(flags: TrainFlags): Promise<number> {
  const out = trainingOutput(flags.json === true);
  const warn = (message: string) => out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  const begun = endAtSignal(flags.resume ? 'the run is as it was saved' : 'no step was trained yet: nothing to save');
  const job = flags.resume ? await resumedJob(flags, warn) : await newJob(flags, warn);
  begun();
  try {
    return await trainJob(job, flags, out, warn);
  } finally {
    await job.place?.lock.release();
  }
}

/** Shows the plan and, unless it is a dry run, trains. @returns the exit code */
async function trainJob(job: Job, flags: TrainFlags, out: TrainingOutput, warn: Warn): Promise<number> {
  const { record } = job;
  const { backend, why } = job.choice;
  const read = sampled(job, record.sample, record.plan.seed);
  sayPlan(job, read, out, warn);
  if (!job.place) return 0;
  const run = new TrainingRun(
    {
      folder: job.place.folder,
      record,
      train: job.train,
      heldOut: read.heldOut,
      heldOutBytes: totalBytes(job.heldOut),
      heldOutSources: job.heldOutSources,
      budget: job.budget,
      compressorSeconds: record.fittedMinutes && COMPRESSOR_SHARE * 60 * record.fittedMinutes,
      title: dataTitle(record.data, job.documents, job.weights),
      corpus: corpusIds(read),
      warmStart: job.warmStart,
      backend,
      why,
      detectAnomaly: flags.detectAnomaly === true,
    },
    out,
  );
  return run.train();
}

/** Share of a limited time that the compressors of the report may take. */
const COMPRESSOR_SHARE = 0.05;
