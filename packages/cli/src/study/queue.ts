/** @file Which runs are done, in which order and by which processes, and which are left for another time. */
import { spawn } from 'node:child_process';
import { type Backend, createWasmBackend } from '@blt-ts/tensor';
import { reason, UserError } from '../terminal/errors.ts';
import { note } from '../terminal/output.ts';
import { studyCorpus } from './corpora.ts';
import { isMeasured, type Measure, measureName } from './measure.ts';
import { takeMeasure } from './measures.ts';
import { doRun } from './one-run.ts';
import { type Planned, secondsOf } from './planned-time.ts';
import { entropyRun, type RunConfig, runName } from './run-config.ts';
import type { StudyFolder } from './run-folders.ts';

/** How the runs are done. */
export interface QueueOptions {
  readonly jobs: number;
  /** No run is begun that is expected to end, its measures taken, later than so many hours from now. */
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
  /** Whether its weights are needed too, which a run taken over from a results.json does not have. */
  readonly weights?: boolean;
}

/** The part of a job that is still to be done. A run without weights is trained again if a measure or another run needs them. */
function restOf({ config, measures, weights = false }: Job, folder: StudyFolder): Planned & Job {
  const left = measures.filter((m) => !isMeasured(config, m, folder));
  const trains = !folder.isDone(config) || ((weights || left.length > 0) && !folder.hasWeights(config));
  return { config, trains, measures: left };
}

/** Does what is still to be done of a job. */
export async function doJob(job: Job, folder: StudyFolder, backend: Backend): Promise<void> {
  const { config, trains, measures } = restOf(job, folder);
  if (trains) await doRun(config, folder, backend);
  for (const one of measures) await takeMeasure(config, one, folder, backend);
}

function isFinished(job: Job, folder: StudyFolder): boolean {
  const { trains, measures } = restOf(job, folder);
  return !trains && measures.length === 0;
}

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

/** The sentence of a process that failed: the one that it ended with, without the name of the command. */
function lastWords(said: string, code: number | null, signal: string | null): string {
  const lines = said.trim().split('\n');
  const own = [...lines].reverse().find((line) => line.startsWith('blt: ')) ?? lines.at(-1)!;
  return own.replace(/^blt: /, '') || (signal ? `ended by ${signal}` : `exit code ${code}`);
}

/** One run in a process of its own, which ends with this one, see `endWithParent`. */
function inProcess(job: Job, folder: StudyFolder): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = [process.argv[1], 'study', '--one', JSON.stringify(job), '--out', folder.root];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new UserError(lastWords(said, code, signal)));
    });
  });
}

/** A run that did not end well. */
export interface FailedRun {
  readonly config: RunConfig;
  readonly why: string;
}

/** The runs that are not done after a call of `doRuns`. */
export interface Undone {
  /** Left out, because time would not have been enough. */
  readonly left: readonly Job[];
  readonly failed: readonly FailedRun[];
}

/** How far the jobs are, and which of them comes next. */
class Progress {
  readonly left: Job[] = [];
  readonly failed: FailedRun[] = [];
  private readonly waiting: Job[];
  private finished: number;
  private readonly order: readonly Job[];
  private readonly folder: StudyFolder;
  private readonly broken: ReadonlyMap<string, string>;

  /** @param broken see `brokenCorpora` */
  constructor(order: readonly Job[], folder: StudyFolder, broken: ReadonlyMap<string, string>) {
    this.order = order;
    this.folder = folder;
    this.broken = broken;
    const needed = order.filter((job) => !isFinished(job, folder)).flatMap(({ config }) => entropyRun(config) ?? []);
    const models = new Set(needed.map(runName));
    this.waiting = order
      .map((job) => (models.has(runName(job.config)) ? { ...job, weights: true } : job))
      .filter((job) => !isFinished(job, folder));
    this.finished = order.length - this.waiting.length;
  }

  /** Takes the next job that can be begun; null if there is none. Those without a text or an entropy model fail before. */
  next(): Job | null {
    const at = this.waiting.findIndex(({ config }) => {
      const entropy = entropyRun(config);
      return entropy === null || this.folder.hasWeights(entropy) || this.hasFailed(entropy);
    });
    if (at < 0) return null;
    const [job] = this.waiting.splice(at, 1);
    const entropy = entropyRun(job.config);
    const noText = this.broken.get(job.config.corpus);
    if (noText !== undefined) this.fail(job, noText);
    else if (entropy !== null && this.hasFailed(entropy))
      this.fail(job, `its entropy model, the run ${runName(entropy)}, failed`);
    else return job;
    return this.next();
  }

  private hasFailed(config: RunConfig): boolean {
    return this.failed.some((one) => runName(one.config) === runName(config));
  }

  /** Seconds that a job is expected to take. */
  seconds(job: Job): number {
    const done = this.order.flatMap(({ config }) => {
      const result = this.folder.result(config);
      return result === null ? [] : [{ config, result }];
    });
    return secondsOf(restOf(job, this.folder), done);
  }

  end({ config }: Job): void {
    this.finished++;
    const { bitsPerByte, seconds } = this.folder.result(config)!;
    const count = `${this.finished}/${this.order.length}`;
    note(`${count} ${runName(config)} ${bitsPerByte.toFixed(3)} bits per byte, ${Math.round(seconds.training)} s`);
  }

  fail({ config }: Job, why: string): void {
    this.failed.push({ config, why });
    note(`the run ${runName(config)} failed: ${why}`);
  }

  /** The jobs that nothing waits for any more: their entropy models were left out. */
  giveUp(): Undone {
    return { left: [...this.left, ...this.waiting], failed: this.failed };
  }
}

/** The corpora of jobs that cannot be had, and why. Each is looked at once, so that processes need not fetch a package side by side. */
async function brokenCorpora(jobs: readonly Job[], folder: StudyFolder): Promise<Map<string, string>> {
  const broken = new Map<string, string>();
  for (const corpus of new Set(jobs.filter((job) => !isFinished(job, folder)).map(({ config }) => config.corpus))) {
    try {
      await studyCorpus(corpus, folder.path('corpora'));
    } catch (error) {
      broken.set(corpus, reason(error));
    }
  }
  return broken;
}

/** Does the runs that are not done. A run that fails is noted, and the others go on. */
export async function doRuns(jobs: readonly Job[], folder: StudyFolder, options: QueueOptions): Promise<Undone> {
  const deadline = options.hours === null ? Number.POSITIVE_INFINITY : performance.now() + options.hours * 3_600_000;
  const order = inOrder(jobs, options);
  const progress = new Progress(order, folder, await brokenCorpora(order, folder));
  const backend = options.here ? createWasmBackend({ threads: 1 }) : null;
  const working = new Set<Promise<void>>();
  const begin = (job: Job): void => {
    const work: Promise<void> = (backend ? doJob(job, folder, backend) : inProcess(job, folder))
      .then(() => progress.end(job))
      .catch((error: unknown) => progress.fail(job, reason(error)))
      .finally(() => working.delete(work));
    working.add(work);
  };
  for (;;) {
    const job = working.size < options.jobs ? progress.next() : null;
    if (job !== null) {
      if (performance.now() + 1000 * progress.seconds(job) > deadline) progress.left.push(job);
      else begin(job);
    } else if (working.size > 0) await Promise.race(working);
    else return progress.giveUp();
  }
}
