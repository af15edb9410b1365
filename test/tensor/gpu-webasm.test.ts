import { run, tensor } from '@blt-ts/tensor';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import { describe, expect, test } from 'vitest';
import { backendOf } from '../../packages/tensor/src/gpu/backend.ts';
import { bucket, createWebasmDriver } from '../../packages/tensor/src/gpu/webasm-driver.ts';
import { definedProperty } from '../support/gpu-run.ts';
import { gpuSuite } from '../support/gpu-suite.ts';
import { raggedSize } from '../support/op-values.ts';

const backend = await createGpuBackend({ mode: 'webasm' });
const tested = { name: 'webasm', backend, roundoff: 2 ** -24, tiny: 2 ** -126 };

gpuSuite(tested, 12);

describe('the tile kernel of the GPU, on webasm', () => {
  const tiles = { ...tested, backend: backendOf(createWebasmDriver({ tiles: true })) };
  definedProperty('matmul', tiles, raggedSize, 20);
});

test('a backend that was given back says so', async () => {
  const gone = await createGpuBackend({ mode: 'webasm' });
  const x = tensor([1], [1], { backend: gone });
  await gone.destroy();
  await expect(x.read()).rejects.toThrow('this GPU backend has been destroyed; create another');
  await expect(run('neg', [x], {})[0].read()).rejects.toThrow('this GPU backend has been destroyed; create another');
});

test('sizes are rounded up to four steps per power of two, by a fourth at most', () => {
  expect([0, 1, 3, 16, 17, 21, 33, 1000, 1025].map(bucket)).toEqual([1, 1, 4, 16, 20, 24, 40, 1024, 1280]);
  for (let n = 16; n < 5000; n += 7) {
    expect(bucket(n)).toBeGreaterThanOrEqual(n);
    expect(bucket(n)).toBeLessThanOrEqual(n * 1.25);
    expect(bucket(bucket(n))).toBe(bucket(n));
  }
});
