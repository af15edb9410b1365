/** @file A lane: texts that are made side by side by one continuous batch, whose rounds run between the other events of its thread. */
import { setImmediate } from 'node:timers/promises';
import type { BatchText, ContinuousBatch, DrawnByte, TextOptions } from '@blt-ts/blt';
import { type ByteLogprob, byteLogprob } from './logprobs.ts';

/** One text that is wanted. */
export interface TextRequest {
  readonly prompt: Uint8Array;
  readonly options: TextOptions;
  /** Random stream of the seed, see `ContinuousBatch.add`. */
  readonly stream: number;
  /** How many of the likeliest bytes are told of each place; null: no log-probabilities. */
  readonly logprobs: number | null;
}

/** How a text ends: the model ended the document, or as many bytes as wanted are made. */
export type EndReason = 'stop' | 'length';

/** A text that is wanted, and who is told of it. */
export interface Job extends TextRequest {
  /** A byte. @returns whether more are wanted */
  onByte(entry: ByteLogprob): boolean;
  onEnd(reason: EndReason): void;
  /** The computation failed. */
  onError(error: Error): void;
}

/** Makes texts, so many at a time as it has places. */
export interface Lane {
  /** 0 if it can make no more texts. */
  readonly places: number;
  /** Texts being made. */
  readonly size: number;
  /** Rounds so far. */
  readonly rounds: number;
  /** Bytes made so far. */
  readonly bytes: number;
  /** Is called when a place has become free. */
  onFree: () => void;
  /** Begins a text; `size` is below `places`. */
  begin(job: Job): void;
  /** The text is wanted no more. A text that has ended stays as it is. */
  cancel(job: Job): void;
}

const NOTHING_ELSE = {};

/** The lane of a batch in this thread. */
export class BatchLane implements Lane {
  rounds = 0;
  bytes = 0;
  onFree = (): void => {};
  /** Is called after each round. */
  onRound = (): void => {};
  private readonly batch: ContinuousBatch;
  private readonly synchronous: boolean;
  private readonly arriving = new Set<Job>();
  private readonly active = new Map<BatchText, Job>();
  private readonly texts = new Map<Job, BatchText>();
  /** Jobs that ended while a round was being computed. */
  private readonly cancelled = new Set<Job>();
  private running = false;
  private computing = false;

  /** @param synchronous values of the backend can be read at once */
  constructor(batch: ContinuousBatch, synchronous: boolean) {
    this.batch = batch;
    this.synchronous = synchronous;
  }

  get places(): number {
    return this.batch.places;
  }

  get size(): number {
    return this.arriving.size + this.active.size;
  }

  begin(job: Job): void {
    this.arriving.add(job);
    void this.run();
  }

  /** The place is free for the next round. */
  cancel(job: Job): void {
    if (this.computing && this.texts.has(job)) this.cancelled.add(job);
    else if (this.arriving.delete(job) || this.remove(job)) this.onFree();
  }

  private remove(job: Job): boolean {
    const text = this.texts.get(job);
    if (!text) return false;
    this.batch.remove(text);
    this.active.delete(text);
    this.texts.delete(job);
    return true;
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      // Requests of one moment begin in one round.
      await setImmediate();
      while (this.size > 0) {
        this.place();
        await this.round();
        this.onRound();
        // Sockets and messages are read and written between two rounds.
        await setImmediate();
      }
    } catch (error) {
      this.fail(error as Error);
    } finally {
      this.running = false;
    }
    // After a failure others may have come meanwhile.
    if (this.size > 0) void this.run();
  }

  /** Gives places to those who came since the last round. */
  private place(): void {
    for (const job of this.arriving) {
      const text = this.batch.add(job.prompt, job.options, job.stream);
      this.arriving.delete(job);
      if (text.ended) this.end(job, 'length');
      else {
        this.active.set(text, job);
        this.texts.set(job, text);
      }
    }
  }

  private async round(): Promise<void> {
    this.computing = true;
    const drawn = this.synchronous ? this.batch.round() : await this.batch.roundAsync();
    this.computing = false;
    this.rounds++;
    for (const one of drawn) this.tell(one);
    if (this.cancelled.size === 0) return;
    for (const job of this.cancelled) this.remove(job);
    this.cancelled.clear();
    this.onFree();
  }

  private tell({ text, byte, logits }: DrawnByte): void {
    const job = this.active.get(text);
    if (!job || this.cancelled.has(job)) return;
    if (byte === null) {
      this.end(job, 'stop');
      return;
    }
    this.bytes++;
    const { logprobs } = job;
    const more = job.onByte(
      logprobs === null ? { byte, logprob: 0, top: NOTHING_ELSE } : byteLogprob(logits, byte, logprobs),
    );
    if (text.ended && more) this.end(job, 'length');
    else if (!more && this.remove(job)) this.onFree();
  }

  private end(job: Job, reason: EndReason): void {
    this.remove(job);
    job.onEnd(reason);
    this.onFree();
  }

  /** Nothing of what was being made can go on. */
  private fail(error: Error): void {
    this.computing = false;
    const jobs = [...this.active.values(), ...this.arriving];
    for (const job of jobs) this.remove(job);
    this.arriving.clear();
    this.cancelled.clear();
    for (const job of jobs) job.onError(error);
    this.onRound();
    this.onFree();
  }
}
