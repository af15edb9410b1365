/** @file Every kernel of the gpu backend on WebAssembly, at the sizes where its launches change form. */

import { raggedSize } from '@blt-ts/autograd/testing';
import { run, tensor } from '@blt-ts/tensor';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import { describe, expect, test } from 'vitest';
import { backendOf } from '../../../../packages/tensor/src/gpu/backend.ts';
import { bucket, createWebasmDriver } from '../../../../packages/tensor/src/gpu/drivers/webasm.ts';
import { definedProperty } from '../../../support/gpu-run.ts';
import { gpuSuite } from '../../../support/gpu-suite.ts';

const backend = await createGpuBackend({ mode: 'webasm' });
const tested = { name: 'webasm', backend, roundoff: 2 ** -24, tiny: 2 ** -126 };

gpuSuite(tested, 12);

describe('the tile kernel of the GPU, on webasm', () => {
  const tiles = { ...tested, backend: backendOf(createWebasmDriver({ tiles: true })) };
  definedProperty('matmul', tiles, raggedSize, 20);

  test.each([
    { M: 5, N: 8, K: 1000, why: 'a sum cut into pieces, the last shorter' },
    { M: 70, N: 4, K: 33, why: 'b copied for neighbours to read neighbours' },
    { M: 64, N: 12, K: 515, why: 'both' },
  ])('$M x $K x $N: $why', async ({ M, N, K }) => {
    const number = (i: number) => (((i * 7919) % 2048) - 1024) / 1024;
    const [a, b] = [M * K, K * N].map((n, o) => Float32Array.from({ length: n }, (_, i) => number(i + o)));
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ]) {
      const x = tensor(a, transposeA ? [K, M] : [M, K], { backend: tiles.backend });
      const y = tensor(b, transposeB ? [N, K] : [K, N], { backend: tiles.backend });
      const found = await run('matmul', [x, y], { transposeA, transposeB })[0].read();
      for (let i = 0; i < M; i++) {
        for (let j = 0; j < N; j++) {
          let [want, size] = [0, 0];
          for (let l = 0; l < K; l++) {
            const product = a[transposeA ? l * M + i : i * K + l] * b[transposeB ? j * K + l : l * N + j];
            want += product;
            size += Math.abs(product);
          }
          expect(Math.abs(found[i * N + j] - want)).toBeLessThanOrEqual(K * tiles.roundoff * size);
        }
      }
    }
  });
});

test.each([2000, 2 ** 19 + 3])('a sum and a maximum of %i numbers, folded side by side', async (n) => {
  const x = tensor(
    Float32Array.from({ length: n }, (_, i) => (i * 7) % 5),
    [n],
    { backend },
  );
  const total = Array.from({ length: n }, (_, i) => (i * 7) % 5).reduce((a, b) => a + b, 0);
  expect([...(await run('sum', [x], { axes: [0] })[0].read())]).toEqual([total]);
  const most = tensor(
    Float32Array.from({ length: n }, (_, i) => -1 - Math.abs(i - (n - 2))),
    [n],
    { backend },
  );
  expect([...(await run('max', [most], { axes: [0] })[0].read())]).toEqual([-1]);
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
