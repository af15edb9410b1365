/** @file Copies of views: their own bytes are kept or sent, not the memory that they are views of. `slice` of a Buffer copies nothing. */
import { EventEmitter } from 'node:events';
import type { CodingModel, StreamWork } from '@blt-ts/blt';
import type { WasmBackend } from '@blt-ts/tensor';
import { expect, test, vi } from 'vitest';
import { CompressionThreads } from '../../../packages/cli/src/compression/compression-threads.ts';
import { bufferOf } from '../../../packages/cli/src/data/parquet.ts';
import { LineSplitter } from '../../../packages/cli/src/scoring/lines.ts';
import { MostSurprising, type Scored } from '../../../packages/cli/src/scoring/scored.ts';
import type { Job } from '../../../packages/cli/src/serve/lane.ts';
import { openLaneThreads } from '../../../packages/cli/src/serve/lane-threads.ts';
import { probe } from '../../../packages/cli/src/serve/model-probe.ts';
import { servedModel } from '../../support/served-model.ts';

/** A thread that keeps what it is sent. */
class Thread extends EventEmitter {
  readonly data: unknown;
  readonly sent: unknown[] = [];

  constructor(data: unknown) {
    super();
    this.data = data;
    threads.push(this);
  }

  postMessage(message: unknown): void {
    this.sent.push(message);
    if (this.answer) setImmediate(() => this.emit('message', this.answer!(message)));
  }

  answer?: (message: unknown) => unknown;
  terminate = async (): Promise<number> => 0;
}
let threads: Thread[] = [];
vi.mock('../../../packages/cli/src/threads/own-thread.ts', () => ({
  startThread: (_: string, data: unknown) => new Thread(data),
}));

/** Four bytes in the middle of many. */
const whole = Buffer.alloc(2 ** 16, 'abcd');
const view = whole.subarray(8, 12);
const isOwn = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes).toString() === 'abcd' && bytes.buffer.byteLength === bytes.length;

test('the most surprising lines', () => {
  const most = new MostSurprising(1);
  const figures = [{ bits: 8, bitsPerByte: 2, patchBytes: 4, scored: {} as never }];
  most.add({ source: 'stdin', line: 1, bytes: view, figures, best: 0 } satisfies Scored);
  expect(isOwn(most.sorted()[0].bytes)).toBe(true);
});

test('the beginning of a line whose end has not come, and rows of a Parquet file', async () => {
  const chunk = Buffer.from('a line\nabcd');
  const splitter = new LineSplitter('a test');
  splitter.push(chunk);
  chunk.fill('x');
  expect(isOwn(splitter.end()[0])).toBe(true);
  expect(isOwn(new Uint8Array(await bufferOf(whole).slice(8, 12)))).toBe(true);
});

test('a prompt for a lane in another thread', async () => {
  threads = [];
  const opening = openLaneThreads({ folder: '', weights: 'stored', places: 2 }, 2, servedModel);
  for (const thread of threads) thread.emit('message', { logits: probe(servedModel) });
  const { lanes } = await opening;
  lanes[0].begin({ prompt: view, options: {}, stream: 0, logprobs: null } as unknown as Job);
  const [{ request }] = threads[0].sent as { request: { prompt: Uint8Array } }[];
  expect(isOwn(request.prompt)).toBe(true);
});

test('the model inside an archive, and texts to be coded in other threads', async () => {
  threads = [];
  const model = { fingerprint: Uint8Array.of(1), arithmetic: Uint8Array.of(2) } as CodingModel;
  const coding = new CompressionThreads({ packed: view }, 3);
  coding.start({ streams: 3, blocks: 1000 });
  expect(threads).toHaveLength(2);
  for (const thread of threads) {
    expect(isOwn((thread.data as { packed: Uint8Array }).packed)).toBe(true);
    thread.answer = (message) => ({ results: (message as StreamWork).inputs });
    thread.emit('message', model);
  }
  const work = { direction: 'encode', sizes: [4, 4, 4], blocks: 1000, places: 1000, contextBytes: 512 } as const;
  const runner = coding.runner(model, { pauseThreads: () => {} } as unknown as WasmBackend);
  // The part of this thread fails, because the model is none; those of the others are sent before.
  await expect(runner({ ...work, inputs: [view, view, view] }).next()).rejects.toThrow();
  const sent = threads.flatMap((thread) => thread.sent as StreamWork[]);
  expect(sent.length).toBeGreaterThan(0);
  for (const { inputs } of sent) expect(inputs.every(isOwn)).toBe(true);
});
