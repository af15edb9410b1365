/** @file Which texts are made when: a queue before a continuous batch, and the loop that runs its rounds between other events. */
import { setImmediate } from 'node:timers/promises';
import type { BatchText, ContinuousBatch, TextOptions } from '@blt-ts/blt';

/** One text that is wanted, and who is told of it. */
export interface Job {
  readonly prompt: Uint8Array;
  readonly options: TextOptions;
  /** Random stream of the seed, see `ContinuousBatch.add`. */
  readonly stream: number;
  /** A byte, with the logits it was drawn from, valid during the call. @returns whether more are wanted */
  onByte(byte: number, logits: Float32Array): boolean;
  /** The text ends here. @param reason stop: the model ended the document; length: as many bytes as wanted */
  onEnd(reason: 'stop' | 'length'): void;
  /** The computation failed. */
  onError(error: Error): void;
}

/** Makes texts side by side: as many as the batch has places, the others wait in the order in which they came. */
export class Scheduler {
  /** Rounds so far. */
  rounds = 0;
  /** Bytes made so far. */
  bytes = 0;
  private readonly batch: ContinuousBatch;
  private readonly synchronous: boolean;
  private readonly mostWaiting: number;
  private readonly waiting = new Set<Job>();
  private readonly active = new Map<BatchText, Job>();
  private readonly texts = new Map<Job, BatchText>();
  /** Jobs that ended while a round was being computed. */
  private readonly cancelled = new Set<Job>();
  private running = false;
  private computing = false;

  /** @param synchronous values of the backend can be read at once */
  constructor(batch: ContinuousBatch, { mostWaiting, synchronous }: { mostWaiting: number; synchronous: boolean }) {
    this.batch = batch;
    this.mostWaiting = mostWaiting;
    this.synchronous = synchronous;
  }

  /** Texts being made, and texts that wait. */
  get load(): { readonly active: number; readonly waiting: number } {
    return { active: this.active.size, waiting: this.waiting.size };
  }

  /** Whether so many more texts may come now. */
  accepts(texts: number): boolean {
    return this.waiting.size + texts <= this.mostWaiting + this.batch.places - this.active.size;
  }

  /** Wants a text. */
  submit(job: Job): void {
    this.waiting.add(job);
    void this.run();
  }

  /** The text is wanted no more. Its place is free for the next round. */
  cancel(job: Job): void {
    if (this.waiting.delete(job)) return;
    if (this.computing) this.cancelled.add(job);
    else this.remove(job);
  }

  private remove(job: Job): void {
    const text = this.texts.get(job);
    if (!text) return;
    this.batch.remove(text);
    this.active.delete(text);
    this.texts.delete(job);
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      // Requests of one moment begin in one round.
      await setImmediate();
      while (this.waiting.size + this.active.size > 0) {
        this.admit();
        await this.round();
        // Sockets are read and written between two rounds.
        await setImmediate();
      }
    } catch (error) {
      this.fail(error as Error);
    } finally {
      this.running = false;
    }
  }

  private admit(): void {
    for (const job of this.waiting) {
      if (this.batch.free === 0) return;
      this.waiting.delete(job);
      const text = this.batch.add(job.prompt, job.options, job.stream);
      if (text.ended) job.onEnd('length');
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
    for (const { text, byte, logits } of drawn) {
      const job = this.active.get(text);
      if (!job || this.cancelled.has(job)) continue;
      if (byte !== null) this.bytes++;
      const more = byte === null || job.onByte(byte, logits);
      if (more && !text.ended) continue;
      this.remove(job);
      if (more) job.onEnd(byte === null ? 'stop' : 'length');
    }
    for (const job of this.cancelled) this.remove(job);
    this.cancelled.clear();
  }

  /** Nothing of what was being made can go on. */
  private fail(error: Error): void {
    this.computing = false;
    const jobs = [...this.active.values(), ...this.waiting];
    for (const job of this.active.values()) this.remove(job);
    this.waiting.clear();
    this.cancelled.clear();
    for (const job of jobs) job.onError(error);
  }
}
