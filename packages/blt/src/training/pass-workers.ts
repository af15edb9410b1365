/** @file The passes of a step, shared among threads: this one, and workers that compute on its memory. The bits are those of one thread. */
import { type Cotangent, leaves, mul, RowSparse } from '@blt-ts/autograd';
import {
  borrowTensor,
  type LentTensor,
  lendTensor,
  scope,
  shareMemory,
  type Tensor,
  type WasmBackend,
} from '@blt-ts/tensor';
import { copyOf } from '../copy.ts';
import { WorkerError } from '../errors.ts';
import type { DropoutRates } from '../model/dropout.ts';
import { type MuonConstants, type MuonMatrix, updateMatrix } from '../optim/muon.ts';
import type { Predicting } from './counted.ts';
import type { PassInput, PassResult } from './one-pass.ts';
import type { Handler, LentGradient, PassAnswer, PassOrder } from './pass-worker.ts';
import type { TaskName } from './tasks.ts';

/** A worker that runs `servePasses`: one of Node, or a Web Worker. */
export interface WorkerThread {
  postMessage(message: unknown): void;
  terminate(): unknown;
  /** In Node: -1 after its end. */
  readonly threadId?: number;
  /** In Node. */
  on?(event: 'message' | 'error' | 'exit', listener: (value: unknown) => void): unknown;
  ref?(): void;
  unref?(): void;
  /** In a page. */
  onmessage?: Handler<{ readonly data: unknown }> | null;
  onerror?: Handler<{ readonly message: string }> | null;
}

type Answer = Exclude<PassAnswer, { readonly failure: string }>;
type ComputedPass = Exclude<Answer, 'updated'>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** One worker, as this thread sees it. */
class Channel {
  private readonly worker: WorkerThread;
  private waiting: Waiting | null = null;
  private failure: WorkerError | null = null;

  constructor(worker: WorkerThread) {
    this.worker = worker;
    const failed = (why: string) => this.fail(`a worker of the training ended: ${why}`);
    if (worker.on) {
      worker.on('message', (answer) => this.answered(answer as PassAnswer));
      worker.on('error', (error) => failed((error as Error).message));
      worker.on('exit', (code) => failed(`exit code ${code}`));
      worker.unref?.();
      if (worker.threadId === -1) failed('it had ended before');
    } else {
      worker.onmessage = ({ data }) => this.answered(data as PassAnswer);
      worker.onerror = ({ message }) => failed(message);
    }
  }

  post(order: PassOrder): void {
    this.worker.postMessage(order);
  }

  /** The answer to an order that wants one. */
  async ask(order: PassOrder): Promise<Answer> {
    if (this.failure) throw this.failure;
    this.post(order);
    // A process ends when only workers that nobody waits for are left.
    this.worker.ref?.();
    try {
      return await new Promise((resolve, reject) => {
        this.waiting = { resolve, reject };
      });
    } finally {
      this.worker.unref?.();
    }
  }

  private answered(answer: PassAnswer): void {
    if (typeof answer === 'object' && 'failure' in answer)
      this.fail(`a worker of the training failed: ${answer.failure}`);
    else this.waiting?.resolve(answer);
    this.waiting = null;
  }

  private fail(message: string): void {
    this.failure ??= new WorkerError(message);
    this.waiting?.reject(this.failure);
    this.waiting = null;
  }
}

/** A row whose arrays are no views of larger ones: what is posted is copied whole. */
const compact = <Row extends object>(row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, ArrayBuffer.isView(value) ? (value as Int32Array).slice() : value]),
  ) as Row;

/**
 * Workers that take passes of a step while the calling thread takes others. They work on the backend's memory, so that weights and
 * gradients are not copied. The order in which gradients are summed does not depend on who computed them.
 */
export class PassWorkers {
  private readonly backend: WasmBackend;
  private readonly workers: readonly WorkerThread[];
  private readonly channels: readonly Channel[];
  /** The parameters that the workers have borrowed; null if they cannot. */
  private loaded: { readonly params: object; readonly lent: boolean } | null = null;

  /** @param workers threads that run `servePasses`, at most one for each further core */
  constructor(backend: WasmBackend, workers: readonly WorkerThread[]) {
    this.backend = backend;
    this.workers = workers;
    this.channels = workers.map((worker) => new Channel(worker));
    for (const channel of this.channels) channel.post({ memory: shareMemory(backend) });
  }

  /** How many passes are computed at once. */
  get lanes(): number {
    return 1 + this.channels.length;
  }

  /** Whether workers can take passes over these parameters now: not while other work has their cores, nor if a table lies outside the memory. */
  take(task: TaskName, params: object, dropout: DropoutRates): boolean {
    if (this.backend.threadsPaused) return false;
    if (this.loaded?.params !== params) {
      const places = leaves(params).map(([name, p]) => [name, lendTensor(p)] as const);
      const lent = places.every((entry): entry is readonly [string, LentTensor] => entry[1] !== null);
      if (lent) for (const channel of this.channels) channel.post({ task, params: places, dropout });
      this.loaded = { params, lent };
    }
    return this.loaded.lent;
  }

  /**
   * Runs `own` here while the workers compute the passes of `others`, at most one for each.
   * @returns the results of the workers. Dense gradients are on memory of theirs: they are good until the next call, or `read`
   * @throws WorkerError if a worker failed
   */
  async beside<R>(others: readonly PassInput<Predicting>[], own: () => R): Promise<[own: R, others: PassResult[]]> {
    const answers = others.map(({ rows, random }, i) =>
      this.channels[i].ask({ rows: rows.map(compact), random: random.state() }),
    );
    const all = Promise.all(answers);
    // It is awaited below, unless `own` throws.
    all.catch(() => {});
    this.backend.pauseThreads(true);
    let mine: R;
    try {
      mine = own();
    } finally {
      this.backend.pauseThreads(false);
      await Promise.allSettled(answers);
    }
    return [mine, (await all).map((answer) => this.borrowed(answer as ComputedPass))];
  }

  /** A result of a worker. What outlives the next pass is copied. */
  private borrowed({ total, targets, gradients }: ComputedPass): PassResult {
    const copied = (place: LentTensor): Tensor => scope(() => copyOf(borrowTensor(place, this.backend)));
    const gradientOf = (g: LentGradient): Cotangent =>
      'parts' in g
        ? new RowSparse(
            g.shape,
            g.parts.map(({ ids, groups, rows }) => ({ ids, groups, rows: copied(rows) })),
          )
        : borrowTensor(g, this.backend);
    return {
      total: copied(total),
      targets,
      gradients: new Map(gradients.map(([name, g]) => [name, gradientOf(g)] as const)),
    };
  }

  /**
   * Carries out updates of Muon, see `Muon.stepElsewhere`: half a share of them here before it returns, because the caller updates all other
   * parameters meanwhile, and the rest by the workers.
   * @throws WorkerError if a worker failed
   */
  async update(matrices: readonly MuonMatrix[], how: MuonConstants, scale: Tensor): Promise<void> {
    const isOwn = (i: number): boolean => this.channels.length === 0 || i % (2 * this.lanes) === 0;
    const own = matrices.filter((_, i) => isOwn(i));
    const others = matrices.filter((_, i) => !isOwn(i));
    const shares = this.channels.map((_, c) => others.filter((__, i) => i % this.channels.length === c));
    // What is not in the memory was not lent for the passes either.
    const lent = (t: Tensor): LentTensor => lendTensor(t)!;
    const orders = shares.map((share) => ({
      matrices: share.map(({ p, b, g, ...rates }) => ({ ...rates, p: lent(p), b: lent(b), g: lent(g) })),
      scale: lent(scale),
      how: { momentum: how.momentum, nesterov: how.nesterov, iterations: how.iterations },
    }));
    this.backend.pauseThreads(true);
    const answers = Promise.all(orders.map((order, i) => this.channels[i].ask(order)));
    try {
      for (const one of own) scope(() => updateMatrix({ ...one, g: mul(one.g, scale) }, how));
    } finally {
      await answers;
      this.backend.pauseThreads(false);
    }
  }

  /** Nobody reads what the workers handed out any more. */
  read(): void {
    for (const channel of this.channels) channel.post('read');
  }

  /** Ends the workers. */
  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}
