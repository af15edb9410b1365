/** @file Weights kept as BF16 give the products of their rounded values. */
import {
  bf16ToF32,
  createReferenceBackend,
  createWasmBackend,
  donating,
  f32ToBf16,
  run,
  scope,
  storeAsBf16,
  tensor,
} from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../../support/property.ts';

const float = fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024);
const rounded = (x: Float32Array) => bf16ToF32(f32ToBf16(x));
const exact = createReferenceBackend({ precision: 'f64' });

const products = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 21 }), fc.integer({ min: 1, max: 7 }))
  .chain(([M, N, eighths]) => {
    const K = eighths * 8;
    const values = (n: number) => fc.array(float, { minLength: n, maxLength: n }).map((x) => Float32Array.from(x));
    return fc.record({ M: fc.constant(M), N: fc.constant(N), K: fc.constant(K), a: values(M * K), b: values(N * K) });
  });

describe.each([
  ['one thread', createWasmBackend()],
  ['three threads', createWasmBackend({ threads: 3, leastShared: 0 })],
  ['deterministic', createWasmBackend({ deterministic: true })],
  ['pairs of vectors', createWasmBackend({ wide: true })],
] as const)('%s', (_, backend) => {
  property(
    'a product with a matrix kept as BF16 is that with its rounded values, for few rows and for many',
    products,
    60,
    (p) => {
      const { M, N, K } = p;
      const attrs = { transposeA: false, transposeB: true };
      scope(() => {
        const a = tensor(p.a, [M, K], { backend });
        const b = tensor(p.b, [N, K], { backend });
        expect(storeAsBf16(b)).toBe(true);
        expect(b.readSync()).toEqual(rounded(p.b));
        const found = run('matmul', [a, b], attrs)[0].readSync();
        const [x, w] = [tensor(p.a, [M, K], { backend: exact }), tensor(rounded(p.b), [N, K], { backend: exact })];
        const expected = run('matmul', [x, w], attrs)[0].readSync();
        const size = (m: number, n: number) => {
          let sum = 0;
          for (let k = 0; k < K; k++) sum += Math.abs(p.a[m * K + k] * p.b[n * K + k]);
          return sum;
        };
        for (let i = 0; i < M * N; i++) {
          const bound = K * 2 ** -23 * size(Math.floor(i / N), i % N) + 1e-30;
          expect(Math.abs(found[i] - expected[i])).toBeLessThanOrEqual(bound);
        }
      });
    },
  );

  property('its bits do not depend on the number of rows of A beside a row, up to sixteen', products, 30, (p) => {
    const { N, K } = p;
    const attrs = { transposeA: false, transposeB: true };
    scope(() => {
      const b = tensor(p.b, [N, K], { backend });
      storeAsBf16(b);
      const rows = (n: number) =>
        tensor(
          Float32Array.from({ length: n * K }, (_, i) => p.a[i % K]),
          [n, K],
          { backend },
        );
      const three = run('matmul', [rows(3), b], attrs)[0].readSync();
      const five = run('matmul', [rows(5), b], attrs)[0].readSync();
      expect(five.subarray(0, N)).toEqual(three.subarray(0, N));
    });
  });
});

const backend = createWasmBackend();

test('a tensor kept as BF16 takes half the memory and gives it back', () => {
  const before = backend.bytesInUse;
  scope(() => {
    const x = tensor(new Float32Array(4096), [64, 64], { backend });
    expect(storeAsBf16(x)).toBe(true);
    expect(backend.bytesInUse - before).toBe(2 * 4096);
    expect(storeAsBf16(x)).toBe(false);
  });
  expect(backend.bytesInUse).toBe(before);
});

test('other kernels read it as floats', () => {
  scope(() => {
    const values = Float32Array.from({ length: 32 }, (_, i) => Math.sin(i));
    const x = tensor(values, [4, 8], { backend });
    storeAsBf16(x);
    expect(run('neg', [x], {})[0].readSync()).toEqual(rounded(values).map((v) => -v));
    const [rows] = run('gatherRows', [x, tensor([2], undefined, { backend, dtype: 'i32' })], {});
    expect(rows.readSync()).toEqual(rounded(values).subarray(16, 24));
    x.assign(new Float32Array(32).fill(1.00390625));
    expect([...x.readSync()]).toEqual(Array(32).fill(1));
  });
});

test('kernels that would change it are refused, and where it cannot be done it is not', () => {
  scope(() => {
    const [x, y] = [0, 1].map(() => tensor(new Float32Array(32), [4, 8], { backend }));
    storeAsBf16(x);
    expect(() => run('lerp', [x, y], { weight: 0.5 })).toThrow('weights kept as BF16 cannot be changed');
    expect(storeAsBf16(tensor([1, 2, 3], undefined, { backend }))).toBe(false);
    expect(storeAsBf16(tensor([1, 2], undefined, { backend: exact }))).toBe(false);
    expect(storeAsBf16(tensor(new Int32Array(8), undefined, { backend }))).toBe(false);
  });
});

test('nothing is written over it: its memory is too small', () =>
  scope(() => {
    const [x, y] = [1, 2].map((value) => tensor(new Float32Array(64).fill(value), undefined, { backend }));
    expect(storeAsBf16(x)).toBe(true);
    const [z] = donating([x], () => run('add', [x, y], {}));
    expect([...z.readSync()]).toEqual(new Array(64).fill(3));
  }));
