/**
 * @file Streams of archives shared by threads: this one, and others with a model of their own. Each takes the next streams when it is done
 * with its last ones. Products of a few rows are too short to be shared by threads, so whole streams are.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { type CodingModel, codeStreams, type StreamLayout, type StreamRunner, type StreamWork } from '@blt-ts/blt';
import type { WasmBackend } from '@blt-ts/tensor';
import { type ModelPlace, weightBytes } from '../run/coding-model.ts';
import { UserError } from '../terminal/errors.ts';
import { startThread } from '../threads/own-thread.ts';
import type { CompressionAnswer } from './compression-worker.ts';

/** Milliseconds between two looks at the progress of other threads. */
const LOOK_INTERVAL = 100;

/** Fewer blocks are left to one thread: two side by side take no longer than one. */
const LEAST_BLOCKS = 3;

/** Weights of more bytes are not held once for each thread. Products with them are long enough to be shared by the threads of kernels. */
const MOST_COPIED = 2 ** 28;

/** A thread beside this one. */
class Beside {
  /** Bytes of the present work that are done. */
  done = 0;
  private readonly worker: Worker;
  private opened: Pick<CodingModel, 'fingerprint' | 'arithmetic'> | null = null;
  private wake: () => void = () => {};
  private results: readonly Uint8Array[] | null = null;
  private failure: Error | null = null;

  constructor(place: ModelPlace) {
    this.worker = startThread('compression', place);
    this.worker.on('message', (answer: CompressionAnswer) => {
      if ('done' in answer) this.done = answer.done;
      else if ('results' in answer) this.results = answer.results;
      else if ('fingerprint' in answer) this.opened = answer;
      else this.failure = Object.assign(new Error(answer.failure), { name: answer.name });
      this.wake();
    });
    this.worker.on('error', ({ message }) => {
      this.failure = new UserError(`a thread beside this one failed: ${message}; --threads 1 works without`);
      this.wake();
    });
  }

  /** The results of a work. @param model that this thread has, and the other must have too */
  async code(work: StreamWork, model: CodingModel): Promise<readonly Uint8Array[]> {
    const { fingerprint, arithmetic } = await this.until(() => this.opened);
    if (Buffer.compare(fingerprint, model.fingerprint) !== 0 || Buffer.compare(arithmetic, model.arithmetic) !== 0) {
      throw new UserError('the model was changed while it was opened; begin again');
    }
    // Copies, because what is sent of a view is all that it is a view of.
    this.worker.postMessage({ ...work, inputs: work.inputs.map((input) => new Uint8Array(input)) });
    const results = await this.until(() => this.results);
    this.results = null;
    this.done = 0;
    return results;
  }

  end(): Promise<unknown> {
    return this.worker.terminate();
  }

  private async until<T>(value: () => T | null): Promise<T> {
    for (;;) {
      if (this.failure) throw this.failure;
      const found = value();
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

/** The parts of a work: as many for each thread, and none of more streams than go side by side. */
function partsOf(work: StreamWork, threads: number): StreamWork[] {
  const { inputs, sizes, blocks, places } = work;
  const together = Math.max(1, Math.floor(places / blocks));
  const count = Math.min(inputs.length, threads * Math.ceil(inputs.length / (threads * together)));
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor((at * inputs.length) / count));
    return { ...work, inputs: inputs.slice(from, to), sizes: sizes.slice(from, to) };
  });
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** A work that threads share: each takes the next part when it has done its last one. */
class SharedWork {
  /** Bytes of the parts that are done. */
  finished = 0;
  private readonly parts: readonly StreamWork[];
  private readonly results: (readonly Uint8Array[])[] = [];
  private readonly model: CodingModel;
  private next = 0;
  private failed = false;

  constructor(parts: readonly StreamWork[], model: CodingModel) {
    this.parts = parts;
    this.model = model;
  }

  /** Does parts in another thread, until none is left. */
  async doIn(thread: Beside): Promise<void> {
    try {
      while (this.next < this.parts.length) {
        const i = this.next++;
        this.finish(i, await thread.code(this.parts[i], this.model));
      }
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  /** Does parts in this thread, until none is left or another thread has failed. Yields the bytes done of the present one. */
  async *doHere(): AsyncGenerator<number> {
    while (this.next < this.parts.length) {
      const i = this.next++;
      const steps = codeStreams(this.parts[i], this.model.checkpoint);
      try {
        let step = steps.next();
        for (; !step.done; step = steps.next()) {
          yield step.value;
          // Answers of other threads come between two steps.
          await setImmediate();
          if (this.failed) return;
        }
        this.finish(i, step.value);
      } finally {
        // Whoever stops before the end gets the memory back too.
        steps.return([]);
      }
    }
  }

  /** The results of all streams, in their order. */
  all(): readonly Uint8Array[] {
    return this.results.flat();
  }

  private finish(i: number, result: readonly Uint8Array[]): void {
    this.results[i] = result;
    this.finished += sum(this.parts[i].sizes);
  }
}

/** The threads that code the streams of one model. */
export class CompressionThreads {
  private readonly place: ModelPlace;
  private readonly most: number;
  private beside: Beside[] = [];

  /** @param threads most of them, this one included */
  constructor(place: ModelPlace, threads: number) {
    // A copy, because the model inside an archive is a view of all of it, which each thread would be sent.
    this.place = 'packed' in place ? { packed: new Uint8Array(place.packed) } : place;
    this.most = weightBytes(place) > MOST_COPIED ? 1 : threads;
  }

  /** Starts those that streams of so many blocks are worth. */
  start({ streams, blocks }: StreamLayout): void {
    const wanted = streams * blocks < LEAST_BLOCKS ? 0 : Math.min(this.most, streams) - 1;
    while (this.beside.length < wanted) this.beside.push(new Beside(this.place));
  }

  /** Codes streams in all threads. */
  runner(model: CodingModel, backend: WasmBackend): StreamRunner {
    return (work) => this.run(work, model, backend);
  }

  /** Ends the threads, whatever they are doing. */
  async end(): Promise<void> {
    await Promise.all(this.beside.splice(0).map((thread) => thread.end()));
  }

  private async *run(
    work: StreamWork,
    model: CodingModel,
    backend: WasmBackend,
  ): AsyncGenerator<number, readonly Uint8Array[]> {
    const streams = work.inputs.length;
    this.start({ streams, blocks: work.blocks });
    const beside = this.beside.slice(0, streams - 1);
    if (beside.length === 0) return yield* codeStreams(work, model.checkpoint);
    const shared = new SharedWork(partsOf(work, beside.length + 1), model);
    const others = Promise.all(beside.map((thread) => shared.doIn(thread)));
    // A failure is thrown where it is awaited; without this line it would be an unhandled rejection.
    others.catch(() => {});
    const done = (here: number): number => shared.finished + here + sum(beside.map((thread) => thread.done));
    let complete = false;
    // The threads of kernels would compete with these.
    backend.pauseThreads(true);
    try {
      for await (const here of shared.doHere()) yield done(here);
      while (!complete) {
        complete = await Promise.race([others.then(() => true), setTimeout(LOOK_INTERVAL, false)]);
        yield done(0);
      }
      return shared.all();
    } finally {
      backend.pauseThreads(false);
      // Nobody wants what they are doing.
      if (!complete) await this.end();
    }
  }
}
