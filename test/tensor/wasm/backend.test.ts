/** @file The WebAssembly backend: memory, options, builds. */

import { noise, runOn } from '@blt-ts/autograd/testing';
import { createReferenceBackend, createWasmBackend, run, scope, tensor, wasmKernels } from '@blt-ts/tensor';
import { afterEach, describe, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

const plain = { transposeA: false, transposeB: false };

describe('which build runs', () => {
  test('the description names the build and why it was chosen', () => {
    expect(createWasmBackend().description).toMatch(
      /^WebAssembly SIMD, (fused multiply-add \(relaxed SIMD\)|multiply and add rounded separately \(this engine)/,
    );
    expect(createWasmBackend({ deterministic: true }).description).toContain('the same bits on every machine');
    vi.stubEnv('BLT_NO_FMA', '1');
    expect(createWasmBackend().description).toContain('rounded separately (BLT_NO_FMA=1)');
  });

  test('the description says fused where a product and a sum round once, and only there', () => {
    // a a + c is 2^-24 rounded once, and 0 rounded twice.
    const [a, c] = [1 + 2 ** -12, -1 - 2 ** -11];
    const roundsOnce = (backend = createWasmBackend()) => {
      const pair = (x: number, y: number, shape: number[]) => tensor([x, y], shape, { backend });
      const [y] = run('matmul', [pair(1, a, [1, 2]), pair(c, a, [2, 1])], plain);
      return y.item() !== 0;
    };
    expect(createWasmBackend().description.includes('fused multiply-add (')).toBe(roundsOnce());
    expect(roundsOnce(createWasmBackend({ deterministic: true }))).toBe(false);
    // JavaScriptCore takes the instruction of relaxed SIMD, and rounds twice.
    class Twice extends WebAssembly.Instance {
      override get exports() {
        return 'f' in super.exports
          ? { f: (x: number, y: number) => Math.fround(Math.fround(x * x) + y) }
          : super.exports;
      }
    }
    vi.stubGlobal('WebAssembly', Object.create(WebAssembly, { Instance: { value: Twice } }));
    expect(createWasmBackend().description).toContain('rounded separately (this engine has no fused multiply-add)');
    expect(roundsOnce()).toBe(false);
  });

  test('the description says how wide the vectors are and why', () => {
    const major = Number.parseInt(process.versions.node, 10);
    const joined = process.arch === 'x64' && major >= 24 && major <= 26;
    const { description } = createWasmBackend();
    expect(description).toContain(joined ? '; 256-bit vectors;' : '; 128-bit vectors (');
    vi.stubEnv('BLT_NO_WIDE', '1');
    expect(createWasmBackend().description).toContain('128-bit vectors (BLT_NO_WIDE=1)');
    expect(createWasmBackend({ wide: true }).description).toContain('pairs of vectors');
  });

  test('the deterministic build rounds each product and each sum to 32 bits, in rising k', () => {
    const [M, N, K] = [13, 21, 300];
    const [a, b] = [noise(M, K), noise(K, N)];
    const [y] = runOn(createWasmBackend({ deterministic: true }), 'matmul', [a, b], plain);
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum = Math.fround(sum + Math.fround(a.data[i * K + k] * b.data[k * N + j]));
        expect(y[i * N + j]).toBe(sum);
      }
    }
  });

  test('without SharedArrayBuffer the same kernels run on unshared memory, on one thread, through any growth', () => {
    vi.stubGlobal('SharedArrayBuffer', undefined);
    const backend = createWasmBackend({ threads: 4 });
    vi.unstubAllGlobals();
    expect(backend.description).toContain('unshared memory');
    expect(backend.description).toContain('1 thread (no SharedArrayBuffer)');
    expect(backend.threads).toBe(1);
    const ins = [noise(40, 300), noise(300, 50)];
    const shared = createWasmBackend();
    scope(() => {
      const kept = tensor(noise(1000).data, [1000], { backend });
      const before = kept.readSync();
      // 8 MB each: the memory grows several times, and every old view dies.
      for (let i = 0; i < 6; i++) tensor(new Float32Array(2_000_000), [2_000_000], { backend });
      expect(kept.readSync()).toEqual(before);
      expect(runOn(backend, 'matmul', ins, plain)).toEqual(runOn(shared, 'matmul', ins, plain));
      const long = noise(40_000);
      expect(runOn(backend, 'sumSquares', [long], {})).toEqual(runOn(shared, 'sumSquares', [long], {}));
    });
  });
});

describe('memory', () => {
  test('values stay when the memory grows, and bytes in use follow scopes', () => {
    const backend = createWasmBackend();
    scope(() => {
      const x = tensor([1, 2, 3], undefined, { backend });
      expect(backend.bytesInUse).toBe(12);
      scope(() => {
        for (let i = 0; i < 5; i++) tensor(new Float32Array(3_000_000).fill(i), [3_000_000], { backend });
        expect(backend.bytesInUse).toBe(60_000_012);
      });
      expect(backend.bytesInUse).toBe(12);
      expect([...x.readSync()]).toEqual([1, 2, 3]);
    });
    expect(backend.bytesInUse).toBe(0);
  });

  test('what is read is a copy: it survives the tensor, and changing it changes nothing', () => {
    const backend = createWasmBackend();
    const x = tensor([1, 2, 3], undefined, { backend });
    const values = x.readSync();
    values[0] = 9;
    expect([...x.readSync()]).toEqual([1, 2, 3]);
    expect(values.buffer).not.toBeInstanceOf(SharedArrayBuffer);
  });

  test('many tensors in a loop with scopes reuse their blocks', () => {
    const backend = createWasmBackend();
    const x = tensor(noise(1000).data, [1000], { backend });
    for (let i = 0; i < 20_000; i++) scope(() => void run('add', [x, x], {}));
    expect(backend.bytesInUse).toBe(4000);
  });
});

test('kernels without WebAssembly code run the definition on the same memory', () => {
  expect(wasmKernels).toContain('matmul');
  expect(wasmKernels).not.toContain('where');
  const ins = [noise(3, 4), noise(3, 4), noise(4)];
  const [backend, reference] = [createWasmBackend(), createReferenceBackend()];
  expect(runOn(backend, 'where', ins, {})).toEqual(runOn(reference, 'where', ins, {}));
  // Three loops of broadcasting: `add` has WebAssembly code, but not for this.
  const pair = [noise(3, 1, 5), noise(1, 4, 1)];
  expect(runOn(backend, 'add', pair, {})).toEqual(runOn(reference, 'add', pair, {}));
});
