/** @file Every kernel on WebGPU in Node, where there is an adapter. */
/**
 * WebGPU in Node. BLT_TEST_WEBGPU=1 runs it on Mesa's software OpenGL (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri),
 * BLT_TEST_WEBGPU=native on whatever adapter the machine has; both fail if there is none.
 */
import { createWasmBackend, run, scope, tensor } from '@blt-ts/tensor';
import { createGpuBackend, type GpuBackend } from '@blt-ts/tensor/gpu';
import { describe, expect, test } from 'vitest';
import { gpuSuite } from '../../../support/gpu-suite.ts';
import { nanoPlan, trainingLosses } from '../../../support/gpu-training.ts';

const asked = process.env.BLT_TEST_WEBGPU;

if (asked) {
  if (asked !== 'native') process.env.EGL_PLATFORM = 'surfaceless';
  const backend = await createGpuBackend({ mode: 'webgpu' });
  // WGSL allows a division 2.5 units in the last place and an exponential 3 + 2 |x| of them, twice as much in roundoffs.
  gpuSuite({ name: 'webgpu', backend, roundoff: 4 * 2 ** -24, tiny: 2 ** -126 }, 6);
  training(backend);
} else {
  test('asking for an adapter that may not be there ends with a backend or a reason, never with a hang', async () => {
    const answer = await createGpuBackend({ mode: 'webgpu' }).catch((error: Error) => error);
    if (answer instanceof Error) expect(answer.message).toMatch(/^no WebGPU|failed its self-test/);
    else expect(answer.description).toMatch(/^WebGPU on /);
  });
}

function training(backend: GpuBackend): void {
  describe('on webgpu', () => {
    test('the description names the adapter', () => {
      expect(backend.description).toMatch(/^WebGPU on .+, through the package webgpu/);
    });

    const steps = process.env.BLT_SLOW ? 50 : 16;
    test(`${steps} steps of a nano model follow the CPU within 1e-3 nats; nothing is compiled after step 2, ragged batches included`, async () => {
      const plan = nanoPlan(steps);
      const want = await trainingLosses(createWasmBackend(), plan);
      const compiles: number[] = [];
      const buffers: number[] = [];
      const got = await trainingLosses(backend, plan, () => {
        compiles.push(backend.compiles);
        buffers.push(backend.buffers);
      });
      expect(got.length).toBe(steps);
      expect(want[steps - 1]).toBeLessThan(want[0] - (process.env.BLT_SLOW ? 2 : 0.5));
      got.forEach((loss, i) => {
        expect(Math.abs(loss - want[i]), `step ${i + 1}`).toBeLessThan(1e-3);
      });
      expect(new Set(compiles.slice(2)).size).toBe(1);
      expect(Math.max(...buffers.slice(3)) - Math.min(...buffers.slice(3))).toBeLessThanOrEqual(8);
    }, 600_000);

    test('a tensor larger than a buffer may be is refused by its size, and what depends on it', async () => {
      const limit = (await navigator.gpu.requestAdapter())!.limits.maxStorageBufferBindingSize;
      const rows = Math.floor(limit / 4 / 1024) + 1;
      const reads = scope(() => {
        const x = tensor(new Float32Array(1024), [1, 1024], { backend });
        const [y] = run('broadcastTo', [x], { shape: [rows, 1024] });
        return { y: run('sum', [y], { axes: [0, 1] })[0].read() };
      });
      await expect(reads.y).rejects.toThrow(
        `a tensor of ${rows * 1024} elements needs ${rows * 4096} bytes, this GPU allows ${limit} in one buffer; use smaller batches or a smaller model`,
      );
    });

    test('a lost device is named by what is read after it; another backend can be had', async () => {
      const doomed = await createGpuBackend({ mode: 'webgpu' });
      const x = tensor([1, 2], [2], { backend: doomed });
      await x.read();
      // The device is gpu.js's own: it is reached through the buffer of a tensor.
      const cell = x.storage.handle as { buffer: { context: { device: GPUDevice } } };
      const { device } = cell.buffer.context;
      device.destroy();
      await device.lost;
      await expect(x.read()).rejects.toThrow('the GPU was lost');
      await expect(run('neg', [x], {})[0].read()).rejects.toThrow('start again from it');
      const fresh = await createGpuBackend({ mode: 'webgpu' });
      expect([...(await run('neg', [tensor([1, 2], [2], { backend: fresh })], {})[0].read())]).toEqual([-1, -2]);
    });
  });
}
