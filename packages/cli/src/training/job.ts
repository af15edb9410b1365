/** @file The job of `blt train`: of a new run (`newJob`), and of one that is gone on with (`resumedJob`). */
import { join } from 'node:path';
import type { Corpus, WarmStart } from '@blt-ts/blt';
import { type Choice, chooseBackend } from '../config/backend-choice.ts';
import { loadConfig, overrideConfig } from '../config/config-file.ts';
import type { FileConfig } from '../config/config-schema.ts';
import { camelCase, flagOf, OPTIONS, type OptionRow } from '../config/options.ts';
import { corpusIds, loadCorpus } from '../data/corpus.ts';
import { DataInMemory, type ReadData, type RunData } from '../data/run-data.ts';
import { HELD_OUT_FRACTION } from '../data/split.ts';
import { changedData } from '../run/changed-data.ts';
import { RunFolder, refuseTaken } from '../run/folder.ts';
import { freeRunName } from '../run/free-name.ts';
import { DEFAULT_HOUSEKEEPING, housekeepingOf } from '../run/housekeeping.ts';
import { RunLock } from '../run/lock.ts';
import { parseRecord, type RunRecord, recordText } from '../run/record.ts';
import { KeptData, type KeptFiles, keptFiles, storedRecord } from '../stored/kept-data.ts';
import { openData, parseBytes } from '../stored/open-data.ts';
import type { SurveyProgress } from '../stored/survey.ts';
import { UserError } from '../terminal/errors.ts';
import { grouped, humanBytes } from '../terminal/human-units.ts';
import { shellWords } from '../terminal/shell-words.ts';
import type { TrainingOutput } from '../terminal/training-output.ts';
import { VERSION } from '../version.ts';
import { checkSize } from './enough-data.ts';
import { extended, extendedFrom } from './extension.ts';
import { learnsHeldOut } from './held-out-before.ts';
import { checkMemory, END_BYTES } from './memory-estimate.ts';
import { isFitted, type PlannedRun, planNewRun, plannedBytes, planOf, resumedPlan } from './planned-run.ts';
import { savedPosition, startOf } from './position.ts';
import { type Position, TimeBudget } from './time-budget.ts';
import { openWarmStart, reopenWarmStart } from './warm-start.ts';

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

/** Told of what is worth knowing. */
export type Warn = (message: string) => void;

const asList = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/** Everything that is decided before training begins. */
export interface Job {
  readonly data: RunData;
  /** The bytes of them that the run reads. */
  readonly read: ReadData;
  /** The folder of the run, locked; null with --dry-run. */
  readonly place: { readonly folder: RunFolder; readonly lock: RunLock } | null;
  readonly path: string;
  readonly record: RunRecord;
  readonly choice: Choice;
  readonly planned: PlannedRun;
  readonly budget: TimeBudget;
  /** The place in its work that it begins or goes on at. */
  readonly at: Position;
  readonly isResumed: boolean;
  /** Pretrained weights and prepared entropies. Needed by a run that has not made its patches yet. */
  readonly warmStart: () => Promise<WarmStart>;
}

const backendFor = (config: FileConfig, flags: TrainFlags): Promise<Choice> =>
  chooseBackend({
    ...config,
    needsCpu: flags.detectAnomaly ? '--detect-anomaly reads every result at once' : undefined,
  });

/** A new run from config file and flags. */
export async function newJob(flags: TrainFlags, out: TrainingOutput, warn: Warn): Promise<Job> {
  const fileConfig = flags.config ? await loadConfig(flags.config) : {};
  const config = overrideConfig(fileConfig, flags);
  // Before the data are read, which may take minutes. The folder is looked at again when it is made.
  if (config.run !== undefined && !flags.dryRun) await refuseTaken(join(flags.runs, config.run));
  const source = {
    data: [...asList(config.data?.data)],
    heldOut: config.data?.held_out === undefined ? null : [...asList(config.data.held_out)],
    heldOutFraction: config.data?.held_out_fraction ?? HELD_OUT_FRACTION,
    dedupe: config.data?.dedupe ?? false,
    textField: config.data?.text_field ?? null,
    raw: config.data?.raw ?? false,
  };
  const chosen = { ...source, split: config.data?.split ?? 'auto', seed: config.seed };
  const data = await openData(chosen, { ...places(flags, out), maxMemory: maxMemoryOf(config), warn });
  try {
    return await jobOn(data, source, { config, flags, warn });
  } catch (error) {
    data.close();
    throw error;
  }
}

const maxMemoryOf = ({ data }: FileConfig): number | null =>
  data?.max_memory === undefined ? null : parseBytes(data.max_memory, '--max-memory');

/** Where a survey of data works, and its status line. */
const places = ({ runs }: TrainFlags, out: TrainingOutput) => ({
  folder: runs,
  onProgress: ({ done, total, documents }: SurveyProgress) =>
    out.status(`reading  ${humanBytes(done)} of ${humanBytes(total)}, ${grouped(documents, 'document')}`, {
      event: 'progress',
      work: 'reading',
      done,
      total,
      documents,
    }),
});

/** The choice of data, as the record of a run has it. */
type Source = Pick<RunRecord, 'data' | 'heldOut' | 'heldOutFraction' | 'dedupe' | 'textField' | 'raw'>;

/** @throws UserError where the whole corpus is needed and is not in memory */
function wholeCorpus({ loaded }: RunData): Corpus {
  if (loaded) return corpusIds(loaded);
  throw new UserError(
    '--prepared is for data that fit into --max-memory: raise it, or leave out --prepared, and what the run reads is scored by itself',
    2,
  );
}

/** A new run on opened data. */
async function jobOn(data: RunData, source: Source, { config, flags, warn }: Wishes): Promise<Job> {
  const warm = await openWarmStart(config, () => wholeCorpus(data), data.hash, warn);
  const mixture = data.loaded?.weights;
  const opened = { ...warm, options: { ...warm.options, ...(mixture && { mixture }) } };
  checkSize(data, planOf(opened.options, plannedBytes(data)), source);
  const learned = config.from && data.loaded ? await learnsHeldOut(config.from, data.loaded.train) : null;
  if (learned !== null) warn(learned);
  // Before the folder is made: a backend that is not there leaves nothing behind.
  const choice = await backendFor(config, flags);
  const housekeeping = housekeepingOf(DEFAULT_HOUSEKEEPING, config, flags);
  const { minutes, memory } = housekeeping;
  const request = { ...opened, data, backend: choice.backend, minutes, memory, warn };
  const planned = await planNewRun(request);
  const { plan, sample } = planned;
  const fitted = isFitted(request);
  checkMemory(maxMemoryOf(config), { plan, sample, data, backend: choice.backend, memory });
  const read = await data.sampled(sample, plan.seed, END_BYTES);
  const kept = data.loaded ? null : keptFiles(read);
  const written: RunRecord = {
    format: 1,
    version: VERSION,
    command: shellWords(['blt', ...process.argv.slice(2)]),
    startedAt: new Date().toISOString(),
    ...source,
    split: data.mode ?? undefined,
    splits: data.loaded?.splits && [...data.loaded.splits],
    dataHash: data.hash,
    heldOutHash: data.heldOutHash,
    ...(kept ? { stored: storedRecord(data, kept.sha256) } : {}),
    prepared: config.data?.prepared ?? null,
    ...(Object.values(sample).every((bytes) => bytes === null) ? {} : { sample }),
    // A time that the steps were fitted to is in the steps from then on.
    ...(fitted ? { fittedMinutes: minutes! } : {}),
    care: fitted ? { ...housekeeping, minutes: null } : housekeeping,
    plan,
  };
  // Written and read again, as a resume will read it, because what is saved must not depend on where a run was interrupted.
  const record = parseRecord(recordText(written), 'config.json');
  const path = join(
    flags.runs,
    config.run ?? freeRunName(flags.runs, planned.sizeInWords?.size ?? config.size ?? 'nano'),
  );
  const start = { budget: budgetOf(planned, minutes, fitted), at: startOf(plan), isResumed: false };
  const job = { path, record, warmStart: async () => opened.warmStart(plan), planned, data, read, ...start };
  return { choice, place: flags.dryRun ? null : await makeFolder(path, record, data, kept), ...job };
}

/** Wishes that a run is made from. */
interface Wishes {
  readonly config: FileConfig;
  readonly flags: TrainFlags;
  readonly warn: Warn;
}

/** Makes the folder of a new run, with the list of its documents, and with what it reads of data that stay on disk. */
async function makeFolder(
  path: string,
  record: RunRecord,
  data: RunData,
  kept: KeptFiles | null,
): Promise<NonNullable<Job['place']>> {
  const place = await RunFolder.create(path, record, undefined, kept?.write);
  try {
    const list = data.documentList();
    if (list !== null) await place.folder.writeDocumentList(list);
  } catch (error) {
    await place.lock.release();
    throw error;
  }
  return place;
}

const budgetOf = ({ work, rates, mostSteps }: PlannedRun, minutes: number | null, fitted: boolean): TimeBudget =>
  new TimeBudget(work, rates, minutes === null ? null : { minutes, fitted, mostSteps });

const ROWS: readonly OptionRow[] = OPTIONS;
const flagName = (row: OptionRow): string => camelCase(flagOf(row));

/** The options of a resume, from the config file and the flags. @throws UserError for one that would change the run */
async function resumedConfig(flags: TrainFlags): Promise<FileConfig> {
  const file = flags.config ? await loadConfig(flags.config) : {};
  const tree = file as Readonly<Record<string, unknown>>;
  const inFile = ({ section, key }: OptionRow): unknown =>
    section === undefined ? tree[key] : (tree[section] as Readonly<Record<string, unknown>> | undefined)?.[key];
  const refuse = (what: string): never => {
    throw new UserError(
      `${what} cannot be changed by --resume: the run goes on as it was planned; leave it out, or start a new run`,
      2,
    );
  };
  for (const row of ROWS.filter(({ resume }) => resume !== true)) {
    if (flags[flagName(row)] !== undefined) refuse(`--${flagOf(row)}`);
    if (inFile(row) !== undefined)
      refuse(`${row.section === undefined ? '' : `[${row.section}] `}${row.key} in ${flags.config}`);
  }
  return overrideConfig(file, flags);
}

/** A run that was stopped, with the data it had. @throws UserError if the data has changed, or a flag would change the run */
export async function resumedJob(flags: TrainFlags, warn: Warn): Promise<Job> {
  const path = flags.resume!;
  const config = await resumedConfig(flags);
  const folder = new RunFolder(path);
  const record = await folder.record();
  const lock = flags.dryRun ? null : await RunLock.acquire(path);
  try {
    const data: RunData = record.stored
      ? new KeptData(path, record, record.stored)
      : new DataInMemory(await loadCorpus({ ...record, seed: record.plan.seed }, warn));
    if (data.hash !== record.dataHash) throw await changedData(folder, record, data);
    const housekeeping = housekeepingOf(record.care, config, flags);
    checkSize(data, record.plan, record);
    const choice = await backendFor(config, flags);
    const wish = { steps: config.train?.steps, minutes: config.train?.minutes, write: lock !== null };
    const short = await resumedPlan(record, data, choice.backend);
    const fits = (minutes: number, at: Position) => budgetOf(short, minutes, true).endInTime(at);
    const { record: longer, fitted } = await extended(folder, record, wish, fits, warn);
    const planned = longer === record ? short : await resumedPlan(longer, data, choice.backend);
    const job = {
      path,
      record: { ...longer, care: fitted ? { ...housekeeping, minutes: null } : housekeeping },
      warmStart: () => reopenWarmStart(record, () => wholeCorpus(data)),
      planned,
      budget: budgetOf(planned, housekeeping.minutes, fitted),
      at: longer === record ? await savedPosition(folder, record.plan) : extendedFrom(longer),
      data,
      read: await data.sampled(longer.sample, longer.plan.seed, END_BYTES),
    };
    return { choice, place: lock && { folder, lock }, isResumed: true, ...job };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}
