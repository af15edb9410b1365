/** @file Which runs are done, in which order and by which processes, and which are left for another time. */
import { spawn } from 'node:child_process';
import { type Backend, createWasmBackend } from '@blt-ts/tensor';
import { UserError } from '../terminal/errors.ts';
import { note } from '../terminal/output.ts';
import { isMeasured, type Measure, measureName } from './measure.ts';
import { takeMeasure } from './measures.ts';
import { doRun } from './one-run.ts';
import { entropyRun, type RunConfig, runName } from './run-config.ts';
import type { StudyFolder } from './run-folders.ts';

/** FLOP/s of one thread before any run of the study has been timed. */
const FIRST_SPEED = 20e9;
/** Seconds of a run that its FLOPs do not explain: start, text, tokenizer. */
const FIXED_SECONDS = 6;

/** How the runs are done. */
export interface QueueOptions {
  readonly jobs: number;
  /** No run is begun that is expected to end later than so many hours from now. */
  readonly hours: number | null;
  /** The i-th of n shares, i from 1. */
  readonly shard: { readonly i: number; readonly n: number } | null;
  /** All in this process, for runs of a moment. */
  readonly here: boolean;
}

/** A run and what is measured of it. */
export interface Job {
  readonly config: RunConfig;
  readonly measures: readonly Measure[];
}

/** Does what is still to be done of a job. */
export async function doJob({ config, measures }: Job, folder: StudyFolder, backend: Backend): Promise<void> {
  if (!folder.isDone(config)) await doRun(config, folder, backend);
  for (const one of measures) if (!isMeasured(config, one, folder)) await takeMeasure(config, one, folder, backend);
}

const isFinished = ({ config, measures }: Job, folder: StudyFolder): boolean =>
  folder.isDone(config) && measures.every((one) => isMeasured(config, one, folder));

/** Jobs of the same run as one. */
function joined(jobs: readonly Job[]): Job[] {
  const all = new Map<string, Job>();
  for (const { config, measures } of jobs) {
    const name = runName(config);
    const both = [...(all.get(name)?.measures ?? []), ...measures].map((one) => [measureName(one), one] as const);
    all.set(name, { config, measures: [...new Map(both).values()] });
  }
  return [...all.values()];
}

/** The runs in the order in which they are done: entropy models before the runs that need them, small budgets before large ones. */
export function inOrder(jobs: readonly Job[], { shard }: Pick<QueueOptions, 'shard'>): Job[] {
  const sorted = joined(jobs).sort(
    ({ config: a }, { config: b }) => a.flops - b.flops || (runName(a) < runName(b) ? -1 : 1),
  );
  const mine = shard === null ? sorted : sorted.filter((_, i) => i % shard.n === shard.i - 1);
  const needed = mine.flatMap(({ config }) => entropyRun(config) ?? []).map((config) => ({ config, measures: [] }));
  return joined([...needed, ...mine]);
}

/** Seconds that a run is expected to take, from the speed of the run whose budget is nearest. */
function secondsOf(config: RunConfig, done: readonly RunConfig[], folder: StudyFolder): number {
  let [speed, nearest] = [FIRST_SPEED, Number.POSITIVE_INFINITY];
  for (const other of done) {
    const result = other.kind === config.kind ? folder.result(other) : null;
    const distance = Math.abs(Math.log(other.flops / config.flops));
    if (result === null || distance >= nearest) continue;
    [speed, nearest] = [(result.flops.model + result.flops.patcher) / result.seconds.training, distance];
  }
  return FIXED_SECONDS + config.flops / speed;
}

/** One run in a process of its own, which ends with this one. */
function inProcess(job: Job, folder: StudyFolder): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = [process.argv[1], 'study', '--one', JSON.stringify(job), '--out', folder.root];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new UserError(
            `the run ${runName(job.config)} failed: ${said.trim() || (signal ? `ended by ${signal}` : `exit code ${code}`)}`,
          ),
        );
    });
  });
}

/** Does the runs that are not done. @returns the runs that were left out because time would not have been enough */
export async function doRuns(jobs: readonly Job[], folder: StudyFolder, options: QueueOptions): Promise<Job[]> {
  const order = inOrder(jobs, options);
  const deadline = options.hours === null ? Number.POSITIVE_INFINITY : performance.now() + options.hours * 3_600_000;
  const waiting = order.filter((job) => !isFinished(job, folder));
  const left: Job[] = [];
  const ready = ({ config }: Job): boolean => {
    const entropy = entropyRun(config);
    return entropy === null || folder.isDone(entropy);
  };
  const backend = options.here ? createWasmBackend({ threads: 1 }) : null;
  let finished = order.length - waiting.length;
  const working = new Set<Promise<void>>();
  const begin = (job: Job): void => {
    const work = (backend ? doJob(job, folder, backend) : inProcess(job, folder)).then(() => {
      finished++;
      const { bitsPerByte, seconds } = folder.result(job.config)!;
      note(
        `${finished}/${order.length} ${runName(job.config)} ${bitsPerByte.toFixed(3)} bits per byte, ${Math.round(seconds.training)} s`,
      );
    });
    working.add(work);
    // Whoever waits for the set hears of a failure; this promise only takes the work out.
    work.then(
      () => working.delete(work),
      () => {},
    );
  };
  while (waiting.length > 0 || working.size > 0) {
    const at = working.size < options.jobs ? waiting.findIndex(ready) : -1;
    if (at >= 0) {
      const [job] = waiting.splice(at, 1);
      const done = order.map(({ config }) => config).filter((config) => folder.isDone(config));
      if (performance.now() + 1000 * secondsOf(job.config, done, folder) > deadline) left.push(job);
      else begin(job);
    } else if (working.size > 0) await Promise.race(working);
    // Their entropy models were left out.
    else return left.concat(waiting);
  }
  return left;
}
