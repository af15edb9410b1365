/** @file The memory of a run, made in a thread of its own while the model is trained: the thread's side that faces the run. */
import type { Worker } from 'node:worker_threads';
import type { MemoryProgress, MixedLosses } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';
import { startThread } from '../threads/own-thread.ts';
import type { MemoryAnswer, MixRequest } from './memory-worker.ts';

/** Somebody who waits for an answer. */
interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** A memory that learns in another thread. */
export class MemoryBeside implements MixedLosses {
  /** How far the counting is. */
  progress: MemoryProgress;
  /** The memory's file. It is made before any batch is mixed: the memory has then read the training text alone. */
  readonly file: Promise<Uint8Array>;
  private worker: Worker | null = null;
  private ended = false;
  private readonly waiting: Waiting<Float64Array>[] = [];
  private failure: UserError | null = null;

  /**
   * @param text that is remembered
   * @param before what is waited for before the thread starts, whatever comes of it
   */
  constructor(text: Uint8Array, before: Promise<unknown> = Promise.resolve()) {
    this.progress = { done: 0, total: text.length };
    this.file = new Promise((resolve, reject) => {
      const begin = () => this.start(text, resolve, reject);
      before.then(begin, begin);
    });
    // A failure is thrown where the file is awaited; without this line it would be an unhandled rejection.
    this.file.catch(() => {});
  }

  private start(text: Uint8Array, resolve: (file: Uint8Array) => void, reject: (error: Error) => void): void {
    if (this.ended) {
      reject(new UserError('the run ended before the memory beside the model was made', 1));
      return;
    }
    this.worker = startThread('memory', text);
    this.worker.on('message', (answer: MemoryAnswer) => {
      if ('progress' in answer) this.progress = answer.progress;
      else if ('file' in answer) resolve(answer.file);
      else this.waiting.shift()!.resolve(answer.losses);
    });
    this.worker.on('error', (error: Error) => {
      this.failure = new UserError(
        `the memory beside the model failed: ${error.message}; --memory off trains without one`,
        1,
        { cause: error },
      );
      reject(this.failure);
      for (const { reject } of this.waiting.splice(0)) reject(this.failure);
    });
  }

  /** @param logits are moved to the thread */
  async losses(logits: Float32Array, vocabSize: number, ids: Int32Array): Promise<Float64Array> {
    await this.file;
    const request: MixRequest = { logits: logits as Float32Array<ArrayBuffer>, vocabSize, ids };
    if (this.failure) throw this.failure;
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.worker!.postMessage(request, [request.logits.buffer]);
    });
  }

  /** Ends the thread, whatever it is doing. */
  async end(): Promise<void> {
    this.ended = true;
    await this.worker?.terminate();
  }
}
