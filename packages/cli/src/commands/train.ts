import { totalmem } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Corpus, type Given, planRun, type RunOptions, type RunPlan } from '@blt-ts/blt';
import { type Choice, chooseBackend, measureGflops } from '../backend-choice.ts';
import { loadConfig, overrideConfig } from '../config-file.ts';
import { CONFIG_KEYS, type FileConfig } from '../config-schema.ts';
import { corpusIds, dataTitle, type LoadedCorpus, loadCorpus } from '../data/corpus.ts';
import { totalBytes } from '../data/document.ts';
import { dataHash } from '../data/split.ts';
import { printableMessage, UserError } from '../errors.ts';
import { humanBytes } from '../human-units.ts';
import { estimateRun, parametersByPart, planText } from '../plan-text.ts';
import { freeRunName, RunFolder } from '../run-folder.ts';
import { RunLock } from '../run-lock.ts';
import { runCare } from '../run-options.ts';
import { DEFAULT_CARE, type RunRecord } from '../run-record.ts';
import { givenAgain, openStarts } from '../run-starts.ts';
import { type TrainingOutput, trainingOutput } from '../training-output.ts';
import { TrainingRun } from '../training-run.ts';
import { VERSION } from '../version.ts';

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

interface Job extends LoadedCorpus {
  /** null with --dry-run. */
  readonly place: { readonly folder: RunFolder; readonly lock: RunLock } | null;
  readonly path: string;
  readonly record: RunRecord;
  readonly choice: Choice;
  readonly corpus: Corpus;
  /** What a run that starts, or had not made its patches when it was stopped, starts from. */
  readonly given: () => Promise<Given>;
}

const choose = (config: FileConfig, flags: TrainFlags): Promise<Choice> =>
  chooseBackend({
    ...config,
    needsCpu: flags.detectAnomaly ? '--detect-anomaly reads every result at once' : undefined,
  });

/** @throws UserError: what does not fit was asked for on the command line or in the config file */
function planOf(options: RunOptions, trainBytes: number): RunPlan {
  try {
    return planRun(options, trainBytes);
  } catch (error) {
    if (error instanceof ConfigError) throw new UserError(error.message, 2, { cause: error });
    throw error;
  }
}

/** A new run from config file and flags. */
async function newJob(flags: TrainFlags, warn: Warn): Promise<Job> {
  const fileConfig = flags.config ? await loadConfig(flags.config) : {};
  const config = overrideConfig(fileConfig, flags);
  const source = {
    data: [...asList(config.data?.data)],
    heldOut: config.data?.held_out === undefined ? null : [...asList(config.data.held_out)],
    heldOutFraction: config.data?.held_out_fraction ?? 0.1,
    textField: config.data?.text_field ?? null,
    raw: config.data?.raw ?? false,
  };
  const split = await loadCorpus(source, warn);
  const corpus = corpusIds(split);
  const hash = dataHash([...split.train, ...split.heldOut]);
  const starts = await openStarts(config, corpus, hash, warn);
  const plan = planOf(starts.options, totalBytes(split.train));
  const name = config.run ?? freeRunName(flags.runs, config.size ?? 'nano');
  const record: RunRecord = {
    format: 1,
    version: VERSION,
    command: `blt ${process.argv.slice(2).join(' ')}`,
    startedAt: new Date().toISOString(),
    ...source,
    dataHash: hash,
    prepared: config.data?.prepared ?? null,
    care: runCare(DEFAULT_CARE, config, flags),
    plan,
  };
  const path = join(flags.runs, name);
  const job = { path, record, corpus, given: async () => starts.given(plan), ...split };
  checkSize(job);
  // Before the folder is made: a backend that is not there leaves nothing behind.
  const choice = await choose(config, flags);
  return { choice, place: flags.dryRun ? null : await RunFolder.create(path, record), ...job };
}

/** What may be given together with --resume: nothing that changes the bits. */
const RESUME_FLAGS = ['backend', 'threads', 'minutes', 'saveEvery', 'sampleEvery', 'keepLast'] as const;

/** A run that was stopped, with the data it had. */
async function oldJob(flags: TrainFlags, warn: Warn): Promise<Job> {
  const path = flags.resume!;
  const fixed = CONFIG_KEYS.filter(({ flag }) => {
    const name = flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    return flags[name] !== undefined && !(RESUME_FLAGS as readonly string[]).includes(name);
  });
  if (fixed.length > 0) {
    throw new UserError(
      `--${fixed[0].flag} cannot be changed by --resume: the run goes on as it was planned; leave it out, or start a new run`,
      2,
    );
  }
  const folder = new RunFolder(path);
  const record = await folder.record();
  const lock = flags.dryRun ? null : await RunLock.acquire(path);
  try {
    const split = await loadCorpus(record, warn);
    const hash = dataHash([...split.train, ...split.heldOut]);
    if (hash !== record.dataHash) {
      throw new UserError(
        `the data is not that of ${path}: its SHA-256 begins ${hash.slice(0, 12)}, the run's ${record.dataHash.slice(0, 12)}; restore the files, or start a new run`,
      );
    }
    const config = overrideConfig({}, Object.fromEntries(RESUME_FLAGS.map((name) => [name, flags[name]])));
    const care = runCare(record.care, config, flags);
    const corpus = corpusIds(split);
    const job = { path, record: { ...record, care }, corpus, given: () => givenAgain(record, corpus), ...split };
    checkSize(job);
    return { choice: await choose(config, flags), place: lock && { folder, lock }, ...job };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

/** `blt train`. @returns the exit code */
export async function train(flags: TrainFlags): Promise<number> {
  const out = trainingOutput(flags.json === true);
  const warn = (message: string) => out.say(`warning: ${printableMessage(message)}`, { event: 'warning', message });
  const job = flags.resume ? await oldJob(flags, warn) : await newJob(flags, warn);
  try {
    return await trainJob(job, flags, out, warn);
  } finally {
    await job.place?.lock.release();
  }
}

async function trainJob(job: Job, flags: TrainFlags, out: TrainingOutput, warn: Warn): Promise<number> {
  const { record } = job;
  const { plan } = record;
  const { backend, why } = job.choice;
  const trainBytes = totalBytes(job.train);
  const heldOutBytes = totalBytes(job.heldOut);
  const title = dataTitle(record.data, job.documents);
  const estimate = estimateRun(plan, trainBytes, await measureGflops(backend));
  out.say(planText(plan, { data: title, trainBytes, heldOutBytes, backend: why, estimate, folder: job.path }), {
    event: 'plan',
    folder: job.path,
    data: title,
    trainBytes,
    heldOutBytes,
    parameters: Object.fromEntries(parametersByPart(plan).map(({ part, count }) => [part, count])),
    steps: plan.model.loop.steps,
    globalOrigin: plan.globalOrigin ?? null,
    entropyOrigin: plan.entropyOrigin ?? null,
    lrGroups: plan.model.loop.groups ?? [],
    backend: why,
    estimate,
  });
  if (backend.synchronous && estimate.bytes > totalmem()) {
    warn(
      `this takes about ${humanBytes(estimate.bytes)} of memory, and the machine has ${humanBytes(totalmem())}; ` +
        'smaller: --size, --batch-size, --row-bytes, --hash-vocab, or --recompute',
    );
  }
  if (!job.place) return 0;
  const run = new TrainingRun(
    {
      folder: job.place.folder,
      record,
      train: job.train,
      heldOut: job.heldOut,
      title,
      corpus: job.corpus,
      given: job.given,
      backend,
      why,
      detectAnomaly: flags.detectAnomaly === true,
    },
    out,
  );
  return run.train();
}

function checkSize(job: Pick<Job, 'train' | 'heldOut' | 'record'>): void {
  const { plan, heldOutFraction } = job.record;
  const trainBytes = totalBytes(job.train);
  const needed = (plan.model.maxRowBytes ?? 2) / 2;
  if (trainBytes < needed) {
    throw new UserError(
      `the training part has ${trainBytes} bytes, less than one row of ${needed}; give more text, or --row-bytes ${Math.max(2, Math.floor(trainBytes / 4))}`,
      2,
    );
  }
  if (totalBytes(job.heldOut) === 0 && heldOutFraction > 0) {
    throw new UserError('nothing is left to hold out; give more text, or --held-out-fraction 0', 2);
  }
}
