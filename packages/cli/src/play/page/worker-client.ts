/** @file The page's side of a worker: calls as promises, and a word when the worker is gone. */
import type { BackendChoice, WorkerCalls, WorkerEvent, WorkerMessage } from '../messages.ts';

/** The worker ended: the browser ran out of memory, or its file could not be loaded. */
export class LostWorkerError extends Error {
  override readonly name = 'LostWorkerError';
}

interface Pending {
  resolve(value: never): void;
  reject(error: Error): void;
}

export class WorkerClient {
  /** The backend that a new worker is moved to before anything else; null: the one that it starts with. */
  backend: BackendChoice | null = null;
  private readonly url: string;
  private readonly onEvent: (event: WorkerEvent) => void;
  private readonly onLost: (reason: string) => void;
  private worker: Worker | null = null;
  private pending = new Map<number, Pending>();
  private next = 0;
  /** Settles when a new worker has been moved to its backend. */
  private moved: Promise<void> | null = null;

  /** @param onLost told once, why; the next call starts a new worker */
  constructor(url: string, onEvent: (event: WorkerEvent) => void, onLost: (reason: string) => void) {
    this.url = url;
    this.onEvent = onEvent;
    this.onLost = onLost;
  }

  get running(): boolean {
    return this.worker !== null;
  }

  async call<K extends keyof WorkerCalls>(
    name: K,
    ...args: Parameters<WorkerCalls[K]>
  ): Promise<Awaited<ReturnType<WorkerCalls[K]>>> {
    const worker = this.worker ?? this.start();
    if (this.moved) await this.moved;
    return this.send(worker, name, args);
  }

  private send<K extends keyof WorkerCalls>(
    worker: Worker,
    name: K,
    args: Parameters<WorkerCalls[K]>,
  ): Promise<Awaited<ReturnType<WorkerCalls[K]>>> {
    return new Promise((resolve, reject) => {
      const id = this.next++;
      this.pending.set(id, { resolve, reject });
      worker.postMessage({ id, call: name, arguments: args });
    });
  }

  /** A backend that does not start any more leaves the worker on its first one. @throws LostWorkerError if the worker ends meanwhile */
  private async move(worker: Worker, backend: BackendChoice): Promise<void> {
    try {
      await this.send(worker, 'useBackend', [backend]);
    } catch (error) {
      if (error instanceof LostWorkerError) throw error;
    }
    if (worker === this.worker) this.moved = null;
  }

  private start(): Worker {
    const worker = new Worker(this.url, { type: 'module' });
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.receive(worker, data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.lose(worker, event.message || 'its file could not be loaded');
    };
    if (this.backend) this.moved = this.move(worker, this.backend);
    return worker;
  }

  private receive(worker: Worker, message: WorkerMessage): void {
    if (worker !== this.worker) return;
    switch (message.kind) {
      case 'ready':
        navigator.locks?.request(message.lock, () =>
          this.lose(worker, 'the browser ended it, perhaps for lack of memory'),
        );
        break;
      case 'event':
        this.onEvent(message.event);
        break;
      case 'answer':
        this.pending.get(message.id)?.resolve(message.value as never);
        this.pending.delete(message.id);
        break;
      case 'failure':
        this.pending.get(message.id)?.reject(new Error(message.message));
        this.pending.delete(message.id);
        break;
    }
  }

  private lose(worker: Worker, reason: string): void {
    if (worker !== this.worker) return;
    worker.terminate();
    this.worker = null;
    this.moved = null;
    const waiting = [...this.pending.values()];
    this.pending.clear();
    for (const { reject } of waiting) reject(new LostWorkerError(reason));
    this.onLost(reason);
  }
}
