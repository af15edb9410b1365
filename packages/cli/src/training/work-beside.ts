/** @file The work that needs no model and is done while one is trained: the compressors of the report, and then the memory of the text. */
import { rememberedText } from '@blt-ts/blt';
import type { WasmBackend } from '@blt-ts/tensor';
import { lastBytes } from '../data/document.ts';
import { type CompressorFigure, comparedBytes, compressorFigures, MOST_CONTEXT_BYTES } from '../report/compressors.ts';
import { MemoryBeside } from './memory-beside.ts';
import type { TrainingJob } from './training-job.ts';

/** Whether there is a second core for it. Somebody who asks for one thread gets one at a time, and this work after the last step. */
export const hasRoomBeside = ({ backend }: Pick<TrainingJob, 'backend'>): boolean =>
  (backend as Partial<WasmBackend>).threads !== 1;

/** Memory and compressors of one run. It has begun when it is made. */
export class WorkBeside {
  /** Null where the run wants none. */
  readonly memory: MemoryBeside | null;
  readonly compressors: Promise<CompressorFigure[]>;
  private readonly stopping = new AbortController();

  /** One after the other, so that no more than one core is taken, and not the memory of both. */
  constructor(job: TrainingJob) {
    this.compressors = compressorFigures(lastBytes(job.end, MOST_CONTEXT_BYTES), comparedBytes(job.heldOut), {
      seconds: job.compressorSeconds,
      signal: this.stopping.signal,
    });
    // A failure is thrown where it is awaited; without this line it would be an unhandled rejection.
    this.compressors.catch(() => {});
    this.memory = memoryOf(job, this.compressors);
  }

  /**
   * Leaves the second of two threads to this work until it is done. Both at once would wait for each other at every kernel, because each
   * kernel waits for all of its threads.
   */
  makeRoom({ backend }: TrainingJob): void {
    const wasm = backend as Partial<WasmBackend>;
    if (wasm.threads !== 2) return;
    const resume = () => wasm.pauseThreads?.(false);
    wasm.pauseThreads?.(true);
    (this.memory?.file ?? this.compressors).then(resume, resume);
  }

  /** Ends what is still being done: it would hold up the end of the process. */
  async end(): Promise<void> {
    this.stopping.abort();
    await this.memory?.end();
  }
}

function memoryOf({ record, end }: TrainingJob, before: Promise<unknown>): MemoryBeside | null {
  const most = record.sample?.memoryBytes;
  if (!record.care.memory || most === 0) return null;
  return new MemoryBeside(
    rememberedText(
      end.map(({ bytes }) => bytes),
      most,
    ),
    before,
  );
}
