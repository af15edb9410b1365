/** @file The WebAssembly backend: memory, options, builds. */

import { noise, runOn } from '@blt-ts/autograd/testing';
import { contract, createReferenceBackend, createWasmBackend, run, scope, tensor, wasmKernels } from '@blt-ts/tensor';
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

test('all kernels but the one that moves nothing have WebAssembly code, for every form of broadcasting and every order of axes', () => {
  expect(Object.keys(contract).filter((name) => !(wasmKernels as string[]).includes(name))).toEqual(['reshape']);
  const [backend, reference] = [createWasmBackend(), createReferenceBackend()];
  // The definition, which loops in TypeScript, must not be asked.
  const definition = vi.spyOn(backend as unknown as { runDefinition: () => void }, 'runDefinition');
  // Three loops of broadcasting, and more.
  const pair = [noise(3, 1, 5), noise(1, 4, 1)];
  const three = [noise(2, 1, 3, 1, 5), noise(1, 4, 1, 2, 1), noise(3, 1, 1)];
  expect(runOn(backend, 'add', pair, {})).toEqual(runOn(reference, 'add', pair, {}));
  expect(runOn(backend, 'where', three, {})).toEqual(runOn(reference, 'where', three, {}));
  const x = [noise(2, 3, 4, 5, 6)];
  for (const perm of [
    [4, 3, 2, 1, 0],
    [0, 2, 1, 3, 4],
    [2, 0, 4, 1, 3],
    [1, 0, 2, 4, 3],
  ]) {
    expect(runOn(backend, 'transpose', x, { perm })).toEqual(runOn(reference, 'transpose', x, { perm }));
  }
  const begin = [1, 0, 2, 1, 2];
  const end = [2, 3, 3, 4, 5];
  expect(runOn(backend, 'slice', x, { begin, end })).toEqual(runOn(reference, 'slice', x, { begin, end }));
  const bounds = { before: begin, after: [0, 2, 1, 0, 3] };
  expect(runOn(backend, 'pad', x, bounds)).toEqual(runOn(reference, 'pad', x, bounds));
  const shape = [2, 3, 4, 5, 6];
  const narrow = [noise(2, 1, 4, 1, 6)];
  expect(runOn(backend, 'broadcastTo', narrow, { shape })).toEqual(runOn(reference, 'broadcastTo', narrow, { shape }));
  for (const axes of [
    [0, 2, 4],
    [1, 3],
    [0, 1, 3],
    [0, 3, 4],
  ]) {
    expect(runOn(backend, 'max', x, { axes })).toEqual(runOn(reference, 'max', x, { axes }));
    const [sums] = runOn(backend, 'sum', x, { axes });
    runOn(reference, 'sum', x, { axes })[0].forEach((want, i) => {
      expect(sums[i]).toBeCloseTo(want, 4);
    });
  }
  expect(definition).not.toHaveBeenCalled();
});

test('sines and cosines are within 2 roundoffs of themselves at any size, and keep the sign of 0', () => {
  const backend = createWasmBackend();
  // Near multiples of pi/2, where all leading bits cancel, and far out, where the multiple of pi/2 needs many of them.
  const turns = Array.from({ length: 2000 }, (_, k) => Math.fround((k * k + 1) * (Math.PI / 2)));
  const far = Array.from({ length: 120 }, (_, e) => Math.fround(1.234567 * 2 ** (e - 20)));
  const values = [...turns, ...far, 0, 1e-30, 3.4028234663852886e38];
  for (const kernel of ['sin', 'cos'] as const) {
    const x = { data: Float32Array.from([...values, ...values.map((v) => -v)]), shape: [values.length * 2] };
    const [y] = runOn(backend, kernel, [x], {});
    x.data.forEach((v, i) => {
      const want = Math[kernel](v);
      if (!(Math.abs(y[i] - want) <= 2 ** -23 * Math.abs(want)))
        throw new Error(`${kernel} ${v}: ${y[i]}, not ${want}`);
    });
    expect([...runOn(backend, kernel, [{ data: Float32Array.of(-0), shape: [1] }], {})[0]]).toEqual([Math[kernel](-0)]);
    const odd = { data: Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY), shape: [3] };
    expect([...runOn(backend, kernel, [odd], {})[0]]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  }
});
