/** @file The memory of a run, made in a thread of its own while the model is trained: the thread's side that faces the run. */
import { Worker } from 'node:worker_threads';
import { type MemoryProgress, type MixedLosses, rememberedText } from '@blt-ts/blt';
import type { WasmBackend } from '@blt-ts/tensor';
import { UserError } from '../terminal/errors.ts';
import type { MemoryAnswer, MixRequest } from './memory-worker.ts';
import type { TrainingJob } from './training-job.ts';

/** Where the build puts memory-worker.ts: beside the command. */
const PROGRAM = new URL('./memory-worker.js', import.meta.url);

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
  private readonly worker: Worker;
  private readonly waiting: Waiting<Float64Array>[] = [];

  /** @param text that is remembered */
  constructor(text: Uint8Array) {
    this.progress = { done: 0, total: text.length };
    this.worker = new Worker(PROGRAM, { workerData: text, name: 'blt memory' });
    this.file = new Promise((resolve, reject) => {
      this.worker.on('message', (answer: MemoryAnswer) => {
        if ('progress' in answer) this.progress = answer.progress;
        else if ('file' in answer) resolve(answer.file);
        else this.waiting.shift()!.resolve(answer.losses);
      });
      this.worker.on('error', (error: Error) => {
        const failure = new UserError(
          `the memory beside the model failed: ${error.message}; --memory off trains without one`,
          1,
          { cause: error },
        );
        reject(failure);
        for (const { reject } of this.waiting.splice(0)) reject(failure);
      });
    });
    // A failure is thrown where the file is awaited; without this line it would be an unhandled rejection.
    this.file.catch(() => {});
  }

  losses(logits: Float32Array, vocabSize: number, ids: Int32Array): Promise<Float64Array> {
    const request: MixRequest = { logits: logits as Float32Array<ArrayBuffer>, vocabSize, ids };
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.worker.postMessage(request);
    });
  }

  /** Ends the thread, whatever it is doing. */
  async end(): Promise<void> {
    await this.worker.terminate();
  }
}

/** Starts the memory that a run wants; null if it wants none. */
export function startMemory({ record, train }: TrainingJob): MemoryBeside | null {
  const most = record.sample?.memoryBytes;
  if (!record.care.memory || most === 0) return null;
  return new MemoryBeside(
    rememberedText(
      train.map(({ bytes }) => bytes),
      most,
    ),
  );
}

/** Whether there is a second core for the memory while the model is trained. Somebody who asks for one thread gets one at a time. */
export const hasRoomBeside = ({ backend }: TrainingJob): boolean => (backend as Partial<WasmBackend>).threads !== 1;

/**
 * Leaves the second of two threads to the memory until it is made. Both at once would wait for each other at every kernel, because each
 * kernel waits for all of its threads.
 */
export function makeRoom(memory: MemoryBeside, { backend }: TrainingJob): void {
  const wasm = backend as Partial<WasmBackend>;
  if (wasm.threads !== 2) return;
  const resume = () => wasm.pauseThreads?.(false);
  wasm.pauseThreads?.(true);
  memory.file.then(resume, resume);
}
