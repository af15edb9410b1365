/** @file A run that asks too much of a device: one clear sentence, in time, and no wrong numbers. */
import { Session } from '@blt-ts/blt';
import { run, scope, tensor } from '@blt-ts/tensor';
import { afterEach, expect, test, vi } from 'vitest';
import { backendOf, type GpuBackend } from '../../packages/tensor/src/gpu/backend.ts';
import { createWebgpuDriver } from '../../packages/tensor/src/gpu/drivers/webgpu.ts';
import { catCorpus, smallPlan } from '../support/gpu-training.ts';
import { createMockWebgpu, type MockWebgpu } from '../support/mock-webgpu.ts';

const LARGEST = 2 ** 20;

/** gpu.js keeps one device for good: a new one is had once the last is lost. */
let last: MockWebgpu | null = null;

async function start(): Promise<{ mock: MockWebgpu; backend: GpuBackend }> {
  const mock = createMockWebgpu(LARGEST);
  last = mock;
  vi.stubGlobal('navigator', { gpu: mock.gpu });
  return { mock, backend: backendOf(await createWebgpuDriver('a mock')) };
}

afterEach(async () => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
  last?.lose('the test is over');
  await new Promise((resolve) => setTimeout(resolve, 0));
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const OUT_OF_MEMORY = 'the GPU is out of memory; use smaller batches, recomputed activations or a smaller model';

test('out of memory while a result is made: every read after it says so, and gives no zeros', async () => {
  const { mock, backend } = await start();
  expect(backend.description).toBe('WebGPU on mock, through a mock');
  const x = tensor(new Float32Array(1000), [1000], { backend });
  await expect(x.read()).resolves.toHaveLength(1000);
  mock.memory = mock.bytes + 2000;
  const [y] = run('exp', [x], {});
  await expect(y.read()).rejects.toThrow(OUT_OF_MEMORY);
  await expect(y.read()).rejects.toMatchObject({ name: 'DeviceError' });
  await expect(run('neg', [x], {})[0].read()).rejects.toThrow(OUT_OF_MEMORY);
});

test('out of memory while values are uploaded', async () => {
  const { mock, backend } = await start();
  mock.memory = mock.bytes + 1000;
  const x = tensor(new Float32Array(1000), [1000], { backend });
  await expect(run('neg', [x], {})[0].read()).rejects.toThrow(OUT_OF_MEMORY);
});

test('out of memory where the values would be read', async () => {
  const { mock, backend } = await start();
  const [y] = run('exp', [tensor(new Float32Array(1000), [1000], { backend })], {});
  await backend.settled();
  mock.memory = mock.bytes;
  await expect(y.read()).rejects.toThrow(OUT_OF_MEMORY);
});

test('a training run that outgrows the memory ends with that sentence, between two steps', async () => {
  const { mock, backend } = await start();
  const session = new Session(smallPlan(9), catCorpus, backend);
  const step = async () => {
    const event = await session.next();
    return event.kind === 'step' ? event.report.step : null;
  };
  while ((await step()) !== 2);
  mock.memory = mock.bytes + 10_000;
  await expect(step()).rejects.toThrow(OUT_OF_MEMORY);
  await expect(step()).rejects.toThrow(OUT_OF_MEMORY);
  expect(session.step).toBe(2);
});

test('a lost device: the reads under way and all later ones say so', async () => {
  const { mock, backend } = await start();
  const x = tensor([1, 2], [2], { backend });
  await x.read();
  vi.spyOn(console, 'error').mockImplementation(() => {});
  mock.lose('driver reset');
  await Promise.resolve();
  const message =
    'the GPU was lost (driver reset); what was computed since the last checkpoint is gone: start again from it';
  await expect(x.read()).rejects.toThrow(message);
  await expect(run('neg', [x], {})[0].read()).rejects.toThrow(message);
});

test('a tensor larger than a buffer is refused by its size before anything is sent, the device stays good', async () => {
  const { backend } = await start();
  const elements = LARGEST / 4 + 1;
  const { reads } = scope(() => {
    const x = tensor([1], [1, 1], { backend });
    const [wide] = run('broadcastTo', [x], { shape: [1, elements] });
    const uploaded = tensor(new Float32Array(elements), [elements], { backend });
    return { reads: [wide.read(), uploaded.read(), run('neg', [x], {})[0].read()] };
  });
  const message = `a tensor of ${elements} elements needs ${elements * 4} bytes, this GPU allows ${LARGEST} in one buffer; use smaller batches or a smaller model`;
  await expect(reads[0]).rejects.toThrow(message);
  await expect(reads[1]).rejects.toThrow(message);
  await expect(reads[2]).resolves.toHaveLength(1);
});

test('buffers of the device are given back, those of a broken-off scope too', async () => {
  const { mock, backend } = await start();
  const round = async () => {
    const { read } = scope(() => {
      const x = tensor(new Float32Array(64), [8, 8], { backend });
      return { read: run('softmax', [x], {})[0].read() };
    });
    await read;
    expect(() =>
      scope(() => {
        run('exp', [tensor(new Float32Array(64), [64], { backend })], {});
        throw new Error('broken off');
      }),
    ).toThrow('broken off');
    await backend.settled();
    return mock.bytes;
  };
  await round();
  const bytes = await round();
  for (let i = 0; i < 5; i++) expect(await round()).toBe(bytes);
});
