/** @file Worker threads over the kernels' shared memory: started when first needed, never keeping the process alive. */
import { nodeModule } from './host.ts';
import type { CompiledKernels, Kernel, WasmExports } from './module.ts';

/**
 * The program of a worker: no imports, so it works from a string in Node and in browsers. A part that traps is reported, not lost:
 * the main thread waits for every worker.
 */
const workerSource = `
function start({ module, imports, part, parts, scratch, kernels }) {
  const wasm = new WebAssembly.Instance(module, imports).exports;
  wasm.setScratch(scratch);
  wasm.workerReady();
  for (let seen = 0; ; seen = (seen + 1) | 0) {
    const kernel = wasm[kernels[wasm.awaitJob(seen)]];
    const pieces = wasm.jobPieces();
    let failed = 1;
    try {
      if (pieces === 0) kernel(part, parts);
      else for (let piece = wasm.takeUnit(); piece < pieces; piece = wasm.takeUnit()) kernel(piece, pieces);
      failed = 0;
    } catch {}
    wasm.finishJob(failed);
  }
}`;

interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly imports: CompiledKernels['imports'];
  readonly part: number;
  readonly parts: number;
  /** Address of the worker's private working memory. */
  readonly scratch: number;
  /** Kernels by number. */
  readonly kernels: readonly string[];
}

interface WorkerThreads {
  Worker: new (
    source: string,
    options: object,
  ) => { unref(): void; on(event: 'error', f: (error: Error) => void): void };
}

/**
 * Starts a worker; the browser's kind or Node's.
 * @param failed called, perhaps later, if it does not start
 */
function startWorker(start: WorkerStart, failed: (reason: string) => void): void {
  const node = nodeModule<WorkerThreads>('node:worker_threads');
  if (node) {
    const source = `${workerSource}\nstart(require('node:worker_threads').workerData);`;
    const worker = new node.Worker(source, { eval: true, workerData: start, execArgv: [], name: 'blt-ts kernels' });
    worker.unref();
    worker.on('error', ({ message }) => failed(message));
    return;
  }
  const source = `${workerSource}\nonmessage = (event) => start(event.data);`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  const worker = new Worker(url);
  worker.onerror = ({ message }) => failed(message);
  worker.postMessage(start);
}

/** Shortest job worth sharing while the workers are awake, in microseconds on one thread: a shorter one is done before they begin. */
const LEAST_AWAKE = 2;
/** Shortest job worth sharing while workers are asleep, because waking one takes tens of microseconds. */
const LEAST_ASLEEP = 100;

/** Shortest run of jobs that workers are woken for, in microseconds on one thread. Each may be too short to wake them for it alone. */
const LEAST_RUN = 200;

/** Kernels that cut their work themselves are called once on each thread. All others are cut into a few pieces for each. */
const selfScheduling = (kernels: WasmExports): ReadonlySet<Kernel> =>
  new Set([kernels.matmul, kernels.intervalAttention, kernels.invariantAttention, kernels.intervalAttentionBackward]);
const PIECES_PER_THREAD = 4;

/** The worker threads of one runtime. */
export class Pool {
  readonly threads: number;
  private readonly exports: WasmExports;
  /** The names of the exports; their places are the numbers that workers know them by. */
  private readonly names: readonly string[];
  private readonly numbers: ReadonlyMap<unknown, number>;
  private readonly selfScheduling: ReadonlySet<Kernel>;
  private readonly canSleep: 0 | 1;
  private readonly leastAwake: number;
  private readonly leastAsleep: number;
  private state: 'idle' | 'starting' | 'ready' | 'failed' = 'idle';
  /** While it is true, the calling thread does everything: something else needs the cores. */
  paused = false;
  /** Why there are no workers after all. */
  trouble: string | undefined;
  private readonly startAll: () => void;

  /**
   * @param threads workers and the main thread together
   * @param least shorter jobs (microseconds) stay on the main thread, whether workers are awake or not; undefined for the defaults
   * @param scratch hands out working memory for one worker
   */
  constructor(
    threads: number,
    module: WebAssembly.Module,
    imports: CompiledKernels['imports'],
    exports: WasmExports,
    least: number | undefined,
    scratch: () => number,
  ) {
    this.threads = threads;
    this.leastAwake = 1000 * (least ?? LEAST_AWAKE);
    this.leastAsleep = 1000 * (least ?? LEAST_ASLEEP);
    this.exports = exports;
    this.names = Object.keys(exports);
    this.numbers = new Map(Object.values(exports).map((kernel, i) => [kernel, i]));
    this.selfScheduling = selfScheduling(exports);
    this.canSleep = nodeModule('node:worker_threads') ? 1 : 0;
    this.startAll = () => {
      for (let part = 1; part < threads; part++) {
        const start = { module, imports, part, parts: threads, scratch: scratch(), kernels: this.names };
        startWorker(start, (reason) => this.fail(reason));
      }
    };
  }

  /** A worker does not start: all the work stays on the calling thread. */
  private fail(reason: string): void {
    if (this.state !== 'starting') return;
    this.state = 'failed';
    this.trouble = `worker threads do not start: ${reason}`;
    console.warn(`blt-ts: ${this.trouble}; going on with 1 thread`);
  }

  /** Starts the workers if need be; true once all of them take part. */
  private ready(): boolean {
    if (this.state === 'idle') {
      this.state = 'starting';
      try {
        this.startAll();
      } catch (error) {
        this.fail(error instanceof Error ? error.message : String(error));
      }
    }
    if (this.state === 'starting' && this.exports.workersReady() === this.threads - 1) this.state = 'ready';
    return this.state === 'ready';
  }

  /** Resolves once the workers take part, or it is known that they will not. */
  async whenReady(): Promise<void> {
    while (!this.ready() && this.state === 'starting') await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Wakes sleeping workers if the jobs that follow, which take so long on one thread together, are worth it. */
  wake(nanoseconds: number): void {
    if (this.state === 'ready' && nanoseconds >= 1000 * LEAST_RUN) this.exports.wakeWorkers();
  }

  /** Runs the kernel on all threads; false if that would not pay, or the workers have not started yet. */
  run(kernel: Kernel, nanoseconds: number): boolean {
    if (this.paused || nanoseconds < this.leastAwake || !this.ready()) return false;
    const { exports } = this;
    if (nanoseconds < this.leastAsleep && exports.workersAsleep() > 0) return false;
    const pieces = this.selfScheduling.has(kernel) ? 0 : this.threads * PIECES_PER_THREAD;
    const number = this.numbers.get(kernel)!;
    exports.postJob(number, pieces);
    let failures: number;
    try {
      if (pieces === 0) kernel(0, this.threads);
      else for (let piece = exports.takeUnit(); piece < pieces; piece = exports.takeUnit()) kernel(piece, pieces);
    } finally {
      exports.joinJob(this.threads - 1, this.canSleep);
      failures = exports.takeFailures();
    }
    if (failures > 0) {
      throw new WebAssembly.RuntimeError(`${this.names[number]}: a thread left the memory; are all ids in range?`);
    }
    return true;
  }
}
