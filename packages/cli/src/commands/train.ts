import { totalmem } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Corpus, type Given, planRun, type RunOptions, type RunPlan } from '@blt-ts/blt';
import { type Choice, chooseBackend, measureGflops } from '../backend-choice.ts';
import { loadConfig, overrideConfig } from '../config-file.ts';
import { CONFIG_KEYS, type FileConfig } from '../config-schema.ts';
import { corpusIds, dataTitle, heldOutText, type LoadedCorpus, leftOutText, loadCorpus } from '../data/corpus.ts';
import { totalBytes } from '../data/document.ts';
import { tooFewHeldOut } from '../data/held-out-noise.ts';
import { differences, heldOutHash, manifestText } from '../data/manifest.ts';
import { HELD_OUT_FRACTION, splitHash } from '../data/split.ts';
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
    heldOutFraction: config.data?.held_out_fraction ?? HELD_OUT_FRACTION,
    dedupe: config.data?.dedupe ?? false,
    textField: config.data?.text_field ?? null,
  };
  const chosen = { ...source, split: config.data?.split ?? 'auto', seed: config.seed };
  const split = await loadCorpus(chosen, warn);
  const corpus = corpusIds(split);
  const hash = splitHash(split);
  const starts = await openStarts(config, corpus, hash, warn);
  const plan = planOf(starts.options, totalBytes(split.train));
  const name = config.run ?? freeRunName(flags.runs, config.size ?? 'nano');
  const record: RunRecord = {
    format: 1,
    version: VERSION,
    command: `blt ${process.argv.slice(2).join(' ')}`,
    startedAt: new Date().toISOString(),
    ...source,
    split: split.mode ?? undefined,
    dataHash: hash,
    heldOutHash: heldOutHash(split),
    prepared: config.data?.prepared ?? null,
    care: runCare(DEFAULT_CARE, config, flags),
    plan,
  };
  const path = join(flags.runs, name);
  const job = { path, record, corpus, given: async () => starts.given(plan), ...split };
  checkSize(job);
  // Before the folder is made: a backend that is not there leaves nothing behind.
  const choice = await choose(config, flags);
  return { choice, place: flags.dryRun ? null : await makeFolder(path, record, split), ...job };
}

/** The folder of a new run, with what its data are. */
async function makeFolder(path: string, record: RunRecord, corpus: LoadedCorpus): Promise<NonNullable<Job['place']>> {
  const place = await RunFolder.create(path, record);
  try {
    await place.folder.writeManifest(manifestText(corpus));
  } catch (error) {
    await place.lock.release();
    throw error;
  }
  return place;
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
    const split = await loadCorpus({ ...record, seed: record.plan.seed }, warn);
    const hash = splitHash(split);
    if (hash !== record.dataHash) {
      const manifest = await folder.manifest();
      const what = manifest
        ? differences(manifest, split.all)
        : `its SHA-256 begins ${hash.slice(0, 12)}, the run's ${record.dataHash.slice(0, 12)}`;
      const again =
        record.plan.config.patching.mode === 'entropy'
          ? `, with the same entropy model: blt train --entropy-model ${path}`
          : '';
      throw new UserError(
        `the data is not that of ${path}: ${what}; restore it to go on with the run, or train a new run on the data as it is${again}`,
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
  const heldOut = heldOutText(job);
  const estimate = estimateRun(plan, trainBytes, await measureGflops(backend));
  out.say(
    planText(plan, {
      data: title,
      trainBytes,
      heldOut,
      leftOut: record.dedupe ? leftOutText(job) : null,
      backend: why,
      estimate,
      folder: job.path,
    }),
    {
      event: 'plan',
      folder: job.path,
      data: title,
      trainBytes,
      heldOutBytes,
      heldOut,
      split: job.mode,
      heldOutDocuments: job.heldOut.length,
      leftOutDocuments: job.leftOut.length,
      parameters: Object.fromEntries(parametersByPart(plan).map(({ part, count }) => [part, count])),
      steps: plan.model.loop.steps,
      globalOrigin: plan.globalOrigin ?? null,
      entropyOrigin: plan.entropyOrigin ?? null,
      lrGroups: plan.model.loop.groups ?? [],
      backend: why,
      estimate,
    },
  );
  if (backend.synchronous && estimate.bytes > totalmem()) {
    warn(
      `this takes about ${humanBytes(estimate.bytes)} of memory, and the machine has ${humanBytes(totalmem())}; ` +
        'smaller: --size, --batch-size, --row-bytes, --hash-vocab, or --recompute',
    );
  }
  const few = tooFewHeldOut(heldOutBytes);
  if (few !== null) warn(few);
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

/** Fewer bytes than these teach nothing, in however short rows they are cut. */
const LEAST_BYTES = 64;

/** Bytes of data that leave `trainBytes` to train on when `fraction` of them is held out. Rounded up to tens. */
const bytesFor = (trainBytes: number, fraction: number): number => Math.ceil(trainBytes / (1 - fraction) / 10) * 10;

function checkSize(job: Pick<Job, 'train' | 'heldOut' | 'record'>): void {
  const { plan, heldOutFraction, heldOut } = job.record;
  const trainBytes = totalBytes(job.train);
  const needed = (plan.model.maxRowBytes ?? 2) / 2;
  if (trainBytes < needed) {
    const enough = `give at least ${bytesFor(needed, heldOut ? 0 : heldOutFraction)} bytes of text`;
    if (trainBytes < LEAST_BYTES) {
      const all = trainBytes + (heldOut ? 0 : totalBytes(job.heldOut));
      throw new UserError(
        `${all} ${all === 1 ? 'byte is' : 'bytes are'} too little to train on; ${enough}, 20,000 are a good start`,
        2,
      );
    }
    throw new UserError(
      `the training part has ${trainBytes} bytes, less than one row of ${needed}; ${enough}, or --row-bytes ${Math.floor(trainBytes / 4)}`,
      2,
    );
  }
  if (totalBytes(job.heldOut) === 0 && heldOutFraction > 0) {
    throw new UserError('nothing is left to hold out; give more text, or --held-out-fraction 0', 2);
  }
}
