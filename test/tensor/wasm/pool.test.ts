/** @file The bits do not depend on the number of threads. */

import { expectSameBits, integers, noise, runOn, threadLaws } from '@blt-ts/autograd/testing';
import { run, scope, tensor, zeros } from '@blt-ts/tensor';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { availableThreads, createWasmBackend } from '../../../packages/tensor/src/wasm/backend.ts';
import type { WasmRuntime } from '../../../packages/tensor/src/wasm/runtime.ts';
import { holdLaws } from '../../support/property.ts';

const alone = createWasmBackend({ wide: false });
const shared = [2, 3].map((threads) => createWasmBackend({ threads, leastShared: 0.001, wide: threads === 3 }));
const wide = createWasmBackend({ wide: true });

describe('the bits depend neither on the number of threads nor on the width of vectors', () => {
  beforeAll(async () => {
    await Promise.all(shared.map((backend) => backend.threadsReady()));
  });

  for (const [name, backend] of [
    ['256-bit vectors', wide],
    ['2 threads', shared[0]],
    ['3 threads and 256-bit vectors', shared[1]],
  ] as const) {
    describe(name, () => holdLaws(threadLaws(backend, alone)));
  }
});

test('threads that are paused leave all work to the calling one, with the same bits', async () => {
  const [backend] = shared;
  await backend.threadsReady();
  const ins = [noise(200, 100), noise(100, 90)];
  const attrs = { transposeA: false, transposeB: false };
  const { pool } = (backend as unknown as { runtime: WasmRuntime }).runtime;
  const product = () => runOn(backend, 'matmul', ins, attrs)[0];
  const [together, ran] = [product(), vi.spyOn(pool!, 'run')];
  backend.pauseThreads(true);
  expectSameBits(product(), together, 'alone');
  expect(new Set(ran.mock.results.map(({ value }) => value))).toEqual(new Set([false]));
  backend.pauseThreads(false);
  expectSameBits(product(), together, 'together again');
  expect(ran.mock.results.some(({ value }) => value === true)).toBe(true);
  // Without workers there is nothing to pause.
  alone.pauseThreads(true);
  expectSameBits(runOn(alone, 'matmul', ins, attrs)[0], together, 'without workers');
});

test('a job that reads outside the memory fails on every thread, and the next one works', async () => {
  const [backend] = shared;
  await backend.threadsReady();
  // 3.75 GiB past the table.
  const wrong = integers(new Array<number>(40_000).fill(15 * 2 ** 20));
  scope(() => {
    const [table, ids] = [noise(4, 64), wrong].map(({ data, shape }) => tensor(data, shape, { backend }));
    // Past the check of ids.
    const y = zeros([40_000, 64], { backend });
    expect(() => backend.run('gatherRows', [y], [table, ids], {})).toThrow(WebAssembly.RuntimeError);
  });
  const ins = [noise(200, 100), noise(100, 90)];
  const attrs = { transposeA: false, transposeB: false };
  expectSameBits(runOn(backend, 'matmul', ins, attrs)[0], runOn(alone, 'matmul', ins, attrs)[0], 'product');
});

describe('where workers do not start, one thread does the work and says why', () => {
  const withWorkers = async (Worker: unknown) => {
    const { getBuiltinModule } = process;
    const asked = vi
      .spyOn(process, 'getBuiltinModule')
      .mockImplementation(((name: string) =>
        name === 'node:worker_threads' ? { Worker } : getBuiltinModule(name)) as typeof getBuiltinModule);
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
    try {
      const backend = createWasmBackend({ threads: 2, leastShared: 0 });
      expect(backend.threads).toBe(2);
      const x = tensor([1, 2, 3, 4], [2, 2], { backend });
      const product = () => [...run('matmul', [x, x], { transposeA: false, transposeB: false })[0].readSync()];
      expect(product()).toEqual([7, 10, 15, 22]);
      await backend.threadsReady();
      expect(product()).toEqual([7, 10, 15, 22]);
      expect(warned.mock.calls).toEqual([['blt-ts: worker threads do not start: not allowed; going on with 1 thread']]);
      expect(backend.threads).toBe(1);
      expect(backend.description).toMatch(/; 1 thread \(worker threads do not start: not allowed\)$/);
    } finally {
      asked.mockRestore();
      warned.mockRestore();
    }
  };

  test('at once', () =>
    withWorkers(
      class {
        constructor() {
          throw new Error('not allowed');
        }
      },
    ));

  test('or later', () =>
    withWorkers(
      class {
        unref() {}
        on(_: string, f: (error: Error) => void) {
          setTimeout(() => f(new Error('not allowed')), 5);
        }
      },
    ));
});

test('the description says how many threads there are; a wrong number is refused', () => {
  expect(alone.description).toMatch(/1 thread$/);
  expect(shared[0].description).toMatch(/2 threads$/);
  expect(availableThreads()).toBeGreaterThanOrEqual(1);
  for (const threads of [0, -1, 1.5, Number.NaN]) {
    expect(() => createWasmBackend({ threads })).toThrow(`threads must be a whole number >= 1, got ${threads}`);
  }
});
