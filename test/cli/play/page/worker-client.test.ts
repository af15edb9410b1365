/** The page's side of a worker, with a worker that answers when it is told to. */
import { beforeEach, expect, test, vi } from 'vitest';
import { LostWorkerError, WorkerClient } from '../../../../packages/cli/src/play/page/worker-client.ts';

interface Asked {
  readonly id: number;
  readonly call: string;
  readonly arguments: readonly unknown[];
}

class FakeWorker {
  static all: FakeWorker[] = [];
  readonly asked: Asked[] = [];
  onmessage!: (event: { data: unknown }) => void;
  onerror!: (event: { message: string; preventDefault(): void }) => void;
  constructor() {
    FakeWorker.all.push(this);
  }
  postMessage(message: Asked): void {
    this.asked.push(message);
  }
  terminate(): void {}
  answer(value: unknown): void {
    this.onmessage({ data: { kind: 'answer', id: this.asked.at(-1)!.id, value } });
  }
  refuse(message: string): void {
    this.onmessage({ data: { kind: 'failure', id: this.asked.at(-1)!.id, message } });
  }
  end(): void {
    this.onerror({ message: 'no memory', preventDefault() {} });
  }
  get calls(): string[] {
    return this.asked.map(({ call }) => call);
  }
}

beforeEach(() => {
  FakeWorker.all = [];
  vi.stubGlobal('Worker', FakeWorker);
});

const settled = () => new Promise((done) => setTimeout(done));

test('the worker after a lost one is moved to the backend of the page before its first call', async () => {
  const lost: string[] = [];
  const client = new WorkerClient(
    'worker.js',
    () => {},
    (reason) => lost.push(reason),
  );
  const first = client.call('pause');
  expect(FakeWorker.all[0].calls).toEqual(['pause']);
  client.backend = 'reference';
  FakeWorker.all[0].end();
  await expect(first).rejects.toThrow(LostWorkerError);
  expect(lost).toEqual(['no memory']);

  const [one, two] = [client.call('pause'), client.call('untrain')];
  const [, worker] = FakeWorker.all;
  await settled();
  expect(worker.asked).toMatchObject([{ call: 'useBackend', arguments: ['reference'] }]);
  worker.answer({});
  await settled();
  expect(worker.calls).toEqual(['useBackend', 'pause', 'untrain']);
  worker.answer('second');
  expect(await two).toBe('second');
  worker.end();
  await expect(one).rejects.toThrow(LostWorkerError);
});

test('a backend that does not start any more leaves the new worker on its own', async () => {
  const client = new WorkerClient(
    'worker.js',
    () => {},
    () => {},
  );
  client.backend = 'webgpu';
  const answer = client.call('pause');
  const [worker] = FakeWorker.all;
  worker.refuse('the backend webgpu does not start in this browser');
  await settled();
  expect(worker.calls).toEqual(['useBackend', 'pause']);
  worker.answer('done');
  expect(await answer).toBe('done');
});

test('calls that wait for a new worker are told when it is lost too', async () => {
  const client = new WorkerClient(
    'worker.js',
    () => {},
    () => {},
  );
  client.backend = 'reference';
  const answers = Promise.allSettled([client.call('pause'), client.call('untrain')]);
  FakeWorker.all[0].end();
  for (const { status } of await answers) expect(status).toBe('rejected');
  expect(FakeWorker.all).toHaveLength(1);
});
