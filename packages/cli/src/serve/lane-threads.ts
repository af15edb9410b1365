/** @file Lanes in threads of their own, seen from the thread that has the sockets. */
import type { Worker } from 'node:worker_threads';
import type { Checkpoint } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { startThread } from '../threads/own-thread.ts';
import type { Job, Lane } from './lane.ts';
import { tellNews } from './lane-news.ts';
import type { LaneAnswer, LaneOrder, LaneStart } from './lane-worker.ts';
import { probe } from './model-probe.ts';

/**
 * Memory for the short-lived objects of a thread, in MB. A round leaves many, and all are garbage after it, so V8 would make this part
 * ever larger without need.
 */
const YOUNG_MEGABYTES = 12;

/** The lane of another thread. */
class ThreadLane implements Lane {
  rounds = 0;
  bytes = 0;
  onFree = (): void => {};
  /** The logits that `probe` has of the model in the thread. @throws Error if it could not be opened */
  readonly opened: Promise<Float32Array>;
  private readonly worker: Worker;
  private readonly most: number;
  private readonly jobs = new Map<number, Job>();
  private readonly numbers = new WeakMap<Job, number>();
  private next = 0;
  private ended = false;

  constructor(start: LaneStart) {
    this.most = start.places;
    this.worker = startThread('serve', start, { maxYoungGenerationSizeMb: YOUNG_MEGABYTES });
    this.opened = new Promise((resolve, reject) => {
      this.worker.on('message', (answer: LaneAnswer) => {
        if ('events' in answer) this.hear(answer);
        else if ('failure' in answer) reject(Object.assign(new Error(answer.failure), { name: answer.name }));
        else resolve(answer.logits);
      });
      this.worker.on('error', (error) => {
        reject(error);
        this.die(error.message);
      });
      this.worker.on('exit', () => this.die('it ended'));
    });
    // Whoever waits for it hears of the failure; without this line it would be an unhandled rejection if another thread fails first.
    this.opened.catch(() => {});
  }

  get places(): number {
    return this.ended ? 0 : this.most;
  }

  get size(): number {
    return this.jobs.size;
  }

  begin(job: Job): void {
    const number = this.next++;
    this.jobs.set(number, job);
    this.numbers.set(job, number);
    const { prompt, options, stream, logprobs } = job;
    // A copy, because what is sent of a view is all that it is a view of.
    this.order({ begin: number, request: { prompt: new Uint8Array(prompt), options, stream, logprobs } });
  }

  cancel(job: Job): void {
    const number = this.numbers.get(job);
    if (number === undefined || !this.jobs.delete(number)) return;
    // Orders are read in turn, so the place is free for whoever begins next.
    this.order({ cancel: number });
    this.onFree();
  }

  /** Ends the thread, whatever it is doing. */
  async end(): Promise<void> {
    this.ended = true;
    await this.worker.terminate();
  }

  private order(order: LaneOrder): void {
    this.worker.postMessage(order);
  }

  private hear(news: Extract<LaneAnswer, { events: Int32Array }>): void {
    this.rounds = news.rounds;
    this.bytes = news.bytes;
    tellNews(news, this.jobs, (number) => {
      if (this.jobs.delete(number)) this.order({ cancel: number });
    });
    this.onFree();
  }

  private die(why: string): void {
    if (this.ended) return;
    this.ended = true;
    const jobs = [...this.jobs.values()];
    this.jobs.clear();
    for (const job of jobs) job.onError(new Error(`the thread that made this text failed: ${why}`));
    this.onFree();
  }
}

/** The places, shared out. */
const shares = (places: number, threads: number): number[] =>
  Array.from(
    { length: threads },
    (_, i) => Math.floor(((i + 1) * places) / threads) - Math.floor((i * places) / threads),
  );

/**
 * Opens so many lanes in threads of their own.
 * @param start of all lanes together   @param checkpoint of this thread, which the others must have too
 * @throws UserError if a thread does not start, or the model was changed meanwhile
 */
export async function openLaneThreads(
  start: LaneStart,
  threads: number,
  checkpoint: Checkpoint,
): Promise<{ lanes: readonly Lane[]; end: () => Promise<void> }> {
  const lanes = shares(start.places, threads).map((places) => new ThreadLane({ ...start, places }));
  const end = async (): Promise<void> => {
    await Promise.all(lanes.map((lane) => lane.end()));
  };
  try {
    const here = probe(checkpoint);
    for (const lane of lanes) {
      const there = await lane.opened;
      if (there.length === here.length && there.every((logit, i) => Object.is(logit, here[i]))) continue;
      throw new UserError('the model was changed while it was opened; begin again');
    }
  } catch (error) {
    await end();
    if (error instanceof UserError) throw error;
    throw new UserError(`a thread of the server failed: ${(error as Error).message}; --threads 1 works without`, 1, {
      cause: error,
    });
  }
  return { lanes, end };
}
