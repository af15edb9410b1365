/** @file Passes of a step on several backends of one memory: the bits of one, and clear ends. */
import { Worker } from 'node:worker_threads';
import { PassWorkers, type RunOptions, type RunPlan, Session, WorkerError, type WorkerThread } from '@blt-ts/blt';
import { createWasmBackend, shareMemory, type WasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { workerHere, workersHere } from '../../support/pass-workers.ts';
import { runs } from '../../support/runs.ts';
import { advance, corpus, reborn, remains, tinyPlan } from '../../support/tiny-run.ts';

const options = fc.record({
  steps: fc.integer({ min: 1, max: 4 }),
  seed: fc.nat(1000),
  batchRows: fc.integer({ min: 2, max: 5 }),
  passRows: fc.integer({ min: 1, max: 3 }),
  accumulation: fc.integer({ min: 1, max: 2 }),
  ema: fc.constantFrom(0, 0.9),
  dropout: fc.constantFrom(0, 0.2),
  hashDropout: fc.constantFrom(0, 0.4),
  muonLr: fc.constantFrom(0, 0.02),
  patchingMode: fc.constantFrom('entropy' as const, 'space' as const),
  hashSizes: fc.constantFrom([], [3, 4]),
  recompute: fc.boolean(),
});

/** The entropy model's steps are cut as well. */
function planOf(chosen: RunOptions): RunPlan {
  const plan = tinyPlan({ evalEvery: 2, ...chosen });
  const { entropyModel } = plan;
  const loop = entropyModel && { ...entropyModel.loop, batchRows: 3, passRows: 2, dropout: plan.model.loop.dropout };
  return { ...plan, entropyModel: entropyModel && { ...entropyModel, loop: loop! } };
}

/** A session of which several backends compute the passes. */
function sessionOn(plan: RunPlan, lanes: number, backend: WasmBackend = createWasmBackend({ maximumBytes: 2 ** 26 })) {
  const session = new Session(plan, corpus, backend);
  const workers = lanes > 1 ? workersHere(backend, lanes) : null;
  if (workers) session.useWorkers(workers);
  return { session, backend, end: async () => workers?.end() };
}

async function wholeRun(plan: RunPlan, lanes: number) {
  const { session, end } = sessionOn(plan, lanes);
  const told = await advance(session, Number.POSITIVE_INFINITY);
  const left = await remains(session);
  await end();
  return { told, ...left };
}

describe('passes of a step', () => {
  test('a run has the same bits, whoever computes its passes', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.integer({ min: 2, max: 4 }), async (chosen, lanes) => {
        const plan = planOf(chosen);
        const [alone, shared] = [await wholeRun(plan, 1), await wholeRun(plan, lanes)];
        expect(shared.told).toEqual(alone.told);
        expect(shared.json).toBe(alone.json);
        expect(firstDifference(shared.arrays, alone.arrays)).toBe(null);
      }),
      { numRuns: runs(12) },
    );
  });

  test('a run goes on with the same bits where others compute its passes', async () => {
    const plan = planOf({ steps: 4, batchRows: 4, passRows: 1, dropout: 0.2, hashDropout: 0.3 });
    const whole = await wholeRun(plan, 1);
    for (const [first, second] of [
      [1, 3],
      [3, 1],
      [2, 3],
    ]) {
      const before = sessionOn(plan, first);
      await advance(before.session, 6);
      const backend = createWasmBackend({ maximumBytes: 2 ** 26 });
      const session = await reborn(before.session, backend);
      const workers = second > 1 ? workersHere(backend, second) : null;
      if (workers) session.useWorkers(workers);
      await advance(session, Number.POSITIVE_INFINITY);
      expect(firstDifference((await remains(session)).arrays, whole.arrays)).toBe(null);
      await workers?.end();
      await before.end();
    }
  });

  test('workers compute passes: without them the other passes would be missing', async () => {
    const backend = createWasmBackend({ maximumBytes: 2 ** 26 });
    let orders = 0;
    const worker = workerHere();
    const counting: WorkerThread = {
      ...worker,
      postMessage(message) {
        if (typeof message === 'object' && message !== null && 'rows' in message) orders++;
        worker.postMessage(message);
      },
    };
    const session = new Session(
      planOf({ steps: 3, batchRows: 4, passRows: 2, patchingMode: 'space' }),
      corpus,
      backend,
    );
    const workers = new PassWorkers(backend, [counting]);
    session.useWorkers(workers);
    await advance(session, Number.POSITIVE_INFINITY);
    expect(orders).toBe(3);
    // While other work has the cores, this thread computes all of them.
    backend.pauseThreads(true);
    const alone = new Session(session.plan, corpus, backend);
    alone.useWorkers(workers);
    await advance(alone, Number.POSITIVE_INFINITY);
    expect(orders).toBe(3);
    await workers.end();
  });

  test('what workers take of the memory does not grow with the steps', async () => {
    const { session, backend, end } = sessionOn(
      planOf({ steps: 40, batchRows: 4, passRows: 1, patchingMode: 'space', evalEvery: 100 }),
      3,
    );
    await advance(session, 10);
    const { memory } = shareMemory(backend).kernels as { memory: WebAssembly.Memory };
    const size = () => memory.buffer.byteLength;
    const [bytes, pages] = [backend.bytesInUse, size()];
    await advance(session, 25);
    expect(backend.bytesInUse).toBeLessThan(bytes + 2 ** 16);
    expect(size()).toBe(pages);
    await end();
  });
});

describe('a worker that fails', () => {
  const plan = planOf({ steps: 3, batchRows: 4, passRows: 2, patchingMode: 'space' });
  const failing = async (worker: WorkerThread): Promise<unknown> => {
    const backend = createWasmBackend({ maximumBytes: 2 ** 26 });
    const session = new Session(plan, corpus, backend);
    const workers = new PassWorkers(backend, [worker]);
    session.useWorkers(workers);
    const error = await advance(session, Number.POSITIVE_INFINITY).catch((e: unknown) => e);
    await workers.end();
    return error;
  };

  test.each([
    [
      'it ends',
      "require('node:worker_threads').parentPort.on('message', (m) => { if (m.rows) process.exit(3); })",
      'exit code 3',
    ],
    [
      'it throws',
      "require('node:worker_threads').parentPort.on('message', (m) => { if (m.rows) throw new Error('no luck'); })",
      'no luck',
    ],
    ['it ended long ago', '', 'it had ended before'],
  ])('%s: one sentence', async (_, source, why) => {
    const worker = new Worker(source, { eval: true });
    if (source === '') await new Promise((resolve) => worker.once('exit', resolve));
    const error = await failing(worker);
    expect(error).toBeInstanceOf(WorkerError);
    expect((error as Error).message).toBe(`a worker of the training ended: ${why}`);
  });

  test('an error in its work is its sentence', async () => {
    const worker = workerHere();
    const error = await failing({
      ...worker,
      // A loss of a token that there is not.
      postMessage(message) {
        const rows = (message as { rows?: { targets: Int32Array }[] }).rows;
        if (rows) rows[0].targets[0] = 9999;
        worker.postMessage(message);
      },
    });
    expect(error).toBeInstanceOf(WorkerError);
    expect((error as Error).message).toMatch(/^a worker of the training failed: crossEntropy: .*9999/);
  });
});
