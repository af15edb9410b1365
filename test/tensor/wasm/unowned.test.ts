/** @file Tensors that no scope owns: their memory comes back, even inside one job, and where they wait changes no bit. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { grad, matmul, mul, reshape, sub, sum } from '@blt-ts/autograd';
import {
  type Backend,
  createReferenceBackend,
  createWasmBackend,
  keep,
  Replay,
  release,
  run,
  scope,
  storeAsBf16,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { property } from '../../support/property.ts';

const MB = 2 ** 20;
const numbers = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 1.7));

/** Collects garbage now, in the middle of a job. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/**
 * Collects until no more than `most` bytes are in array buffers, and says how many are. All of it happens in the running job. The engine
 * frees dead buffers on a thread of its own, which comes late on a busy machine. Bytes that something refers to never go.
 */
function arrayBuffersAfter(gc: () => void, most: number): number {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let left = 200; ; left--) {
    gc();
    const bytes = process.memoryUsage().arrayBuffers;
    if (bytes < most || left === 0) return bytes;
    Atomics.wait(clock, 0, 0, 10);
  }
}

/** w after so many steps of plain gradient descent, without a scope and without a pause. */
function descend(backend: Backend, size: number, steps: number, each = () => {}): Float32Array {
  let w = tensor(numbers(size, 1), undefined, { backend });
  const f = (x: Tensor) => sum(mul(x, x));
  for (let i = 0; i < steps; i++) {
    w = sub(w, mul(grad(f)(w), 0.01));
    each();
  }
  return w.readSync() as Float32Array;
}

describe('loops without a scope, in one job', () => {
  test('gradient descent runs in a memory that holds forty of its tensors, with the bits of scopes', () => {
    const backend = createWasmBackend({ maximumBytes: 16 * MB, unownedBytes: 2 * MB, deterministic: true });
    const size = 2 ** 16;
    let most = 0;
    const w = descend(backend, size, 200, () => (most = Math.max(most, backend.bytesInUse)));
    expect(most).toBeLessThanOrEqual(3 * MB);
    let scoped = tensor(numbers(size, 1), undefined, { backend });
    for (let i = 0; i < 200; i++) {
      const before = scoped;
      scoped = scope(() => sub(before, mul(grad((x: Tensor) => sum(mul(x, x)))(before), 0.01)));
      release(before);
    }
    expect(firstDifference(w, scoped.readSync() as Float32Array)).toBeNull();
  });

  test('inference runs, and the weights stay', () => {
    const backend = createWasmBackend({ maximumBytes: 32 * MB, unownedBytes: 4 * MB });
    const w = tensor(numbers(256 * 256, 1), [256, 256], { backend });
    const x = tensor(numbers(256 * 512, 2), [512, 256], { backend });
    const first = matmul(x, w).readSync();
    for (let i = 0; i < 100; i++) matmul(x, w);
    expect(matmul(x, w).readSync()).toEqual(first);
    expect(backend.bytesInUse).toBeLessThan(8 * MB);
  });

  test('also with keep, whose tensors nobody releases', () => {
    const backend = createWasmBackend({ maximumBytes: 32 * MB, unownedBytes: 4 * MB });
    let w = tensor(new Float32Array(2 ** 18), undefined, { backend });
    for (let i = 0; i < 100; i++) w = scope(() => keep(mul(w, 0.99)));
    expect(backend.bytesInUse).toBeLessThan(8 * MB);
  });

  test('a hundred thousand small tensors are pressure as well', () => {
    const backend = createWasmBackend({ unownedBytes: 4 * MB });
    let x = tensor([1, 2, 3], undefined, { backend });
    for (let i = 0; i < 100_000; i++) x = mul(x, 1);
    expect([...x.readSync()]).toEqual([1, 2, 3]);
    expect(backend.bytesInUse).toBeLessThan(100_000);
  });

  test.each([
    { name: 'reference', make: () => createReferenceBackend() },
    { name: 'wasm', make: () => createWasmBackend({ unownedBytes: 8 * MB }) },
    { name: 'wasm, tables outside the memory', make: () => createWasmBackend({ outsideBytes: MB }) },
  ])('the collector takes what is dead before the job ends: $name', ({ make }) => {
    const backend = make();
    const gc = collector();
    gc();
    const before = process.memoryUsage().arrayBuffers;
    let w = tensor(new Float32Array(2 ** 19), undefined, { backend });
    for (let i = 0; i < 40; i++) w = run('neg', [w], {})[0];
    expect(arrayBuffersAfter(gc, before + 16 * MB) - before).toBeLessThan(16 * MB);
    expect(w.size).toBe(2 ** 19);
  });

  test('Bun is asked to collect each time as many bytes moved out as may stay inside, because it counts the memory twice', () => {
    const gc = vi.fn();
    vi.stubGlobal('Bun', { gc });
    const backend = createWasmBackend({ maximumBytes: 16 * MB, unownedBytes: 2 * MB });
    let w = tensor(new Float32Array(2 ** 16), undefined, { backend });
    for (let i = 0; i < 100; i++) w = run('neg', [w], {})[0];
    vi.unstubAllGlobals();
    // 101 tensors of 256 KiB and 4 KiB of overhead; seven stay inside, 94 moved out: 23.5 MiB, in portions of 2 MiB.
    expect(gc).toHaveBeenCalledTimes(11);
    expect(gc).toHaveBeenCalledWith(true);
  });

  test('more than the memory holds can be alive: it comes and goes', () => {
    const backend = createWasmBackend({ maximumBytes: 16 * MB, unownedBytes: 4 * MB });
    const all = Array.from({ length: 30 }, (_, i) =>
      tensor(new Float32Array(2 ** 18).fill(i + 1), undefined, { backend }),
    );
    for (let round = 0; round < 2; round++) {
      all.forEach((x, i) => {
        expect(run('neg', [x], {})[0].readSync()[5]).toBe(-i - 1);
      });
    }
  });

  test('between jobs the dead ones inside the memory are freed too', async () => {
    const backend = createWasmBackend();
    const gc = collector();
    const kept = tensor([1], undefined, { backend });
    (() => {
      const x = tensor(numbers(1000, 1), undefined, { backend });
      reshape(mul(x, x), [10, 100]);
      storeAsBf16(tensor(numbers(800, 1), undefined, { backend }));
    })();
    expect(backend.bytesInUse).toBe(4 + 8000 + 1600);
    for (let i = 0; i < 100 && backend.bytesInUse > 4; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(backend.bytesInUse).toBe(4);
    expect(kept.item()).toBe(1);
  });
});

describe('where a tensor waits changes no bit', () => {
  // A few tensors stay inside here, all of them there.
  const small = createWasmBackend({ unownedBytes: 12_000, outsideBytes: 6000, deterministic: true });
  const large = createWasmBackend({ outsideBytes: 6000, deterministic: true });
  const index = fc.nat(7);
  const step = fc.record({
    what: fc.constantFrom(
      'neg', 'add', 'matmul', 'reshape', 'assign', 'addRows', 'read', 'make', 'table', 'bf16', 'release', 'keep', 'record',
    ), // biome-ignore format: one list
    a: index,
    b: index,
  });
  property('whatever is done, in any order', fc.array(step, { minLength: 10, maxLength: 60 }), 60, (steps) => {
    const all = (backend: typeof small) => {
      const on = { backend };
      const seen: (Float32Array | Int32Array)[] = [];
      const slots: Tensor[] = Array.from({ length: 8 }, (_, i) => tensor(numbers(256, i), [16, 16], on));
      steps.forEach(({ what, a, b }, at) => {
        const [x, y] = [slots[a], slots[b]];
        const put = (z: Tensor) => void (slots[(a + at) % 8] = z);
        if (what === 'neg') put(run('neg', [x], {})[0]);
        else if (what === 'add') put(run('add', [x, y], {})[0]);
        else if (what === 'matmul') put(run('matmul', [x, y], { transposeA: false, transposeB: true })[0]);
        else if (what === 'reshape') put(reshape(reshape(x, [256]), [16, 16]));
        else if (what === 'assign' && !x.storage.bf16) x.assign(numbers(256, at));
        else if (what === 'addRows' && !x.storage.bf16) {
          run(
            'writeRows',
            [x, tensor(Int32Array.of(at % 16), undefined, on), tensor(numbers(16, at), [1, 16], on)],
            {},
          );
        } else if (what === 'read') seen.push(x.readSync());
        else if (what === 'make') put(tensor(numbers(256, at), [16, 16], on));
        else if (what === 'table') {
          const table = tensor(numbers(2048, at), [128, 16], on);
          put(
            run(
              'gatherRows',
              [
                table,
                tensor(
                  Int32Array.from({ length: 16 }, (_, i) => 7 * i),
                  undefined,
                  on,
                ),
              ],
              {},
            )[0],
          );
        } else if (what === 'bf16') storeAsBf16(x);
        else if (what === 'release') {
          release(x);
          slots.forEach((z, i) => {
            if (z.freed) slots[i] = tensor(numbers(256, at + i), [16, 16], on);
          });
        } else if (what === 'keep') put(scope(() => keep(run('neg', [x], {})[0])));
        else if (what === 'record' && !x.storage.bf16 && x !== y) {
          const [row, rows] = [tensor(Int32Array.of(at % 16), undefined, on), tensor(numbers(16, at), [1, 16], on)];
          const recording = backend.record?.(() => {
            scope(() => void run('writeRows', [x, row, run('neg', [rows], {})[0]], {}));
          });
          // What is made in between must not push out what the recording has written down.
          for (let i = 0; i < 8; i++) tensor(numbers(256, i), undefined, on);
          recording?.replay();
          recording?.release();
        }
      });
      return [...seen, ...slots.map((z) => z.readSync())];
    };
    const [a, b] = [all(small), all(large)];
    a.forEach((values, i) => {
      expect(firstDifference(values, b[i])).toBeNull();
    });
  });

  test('a recording finds its weights, inputs and outputs where they were', () => {
    const backend = createWasmBackend({ unownedBytes: 20_000, deterministic: true });
    const w = tensor(numbers(1024, 1), [32, 32], { backend });
    const replay = new Replay(backend, ([x]) => [matmul(reshape(x, [1, 32]), w)]);
    const results = Array.from({ length: 50 }, (_, i) => {
      for (let k = 0; k < 20; k++) tensor(numbers(1024, k), undefined, { backend });
      const recorded = scope(() => replay.run([numbers(32, i)])[0].readSync());
      const plain = scope(() => matmul(tensor(numbers(32, i), [1, 32], { backend }), w).readSync());
      return firstDifference(recorded, plain);
    });
    expect(results.every((difference) => difference === null)).toBe(true);
    replay.forget();
  });
});

test('before the memory is full there is one warning, and it names the fix', () => {
  const backend = createWasmBackend({ maximumBytes: 32 * MB });
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  try {
    scope(() => {
      for (let i = 0; i < 27; i++) tensor(new Float32Array(2 ** 18), undefined, { backend });
      expect(warn).not.toHaveBeenCalled();
      for (let i = 0; i < 2; i++) tensor(new Float32Array(2 ** 18), undefined, { backend });
      expect(warn.mock.calls.flat()).toEqual([
        'blt-ts: 28 MiB of tensors are in use, the limit is 32 MiB; if they grow with every step, wrap each step in scope(...), which frees what was made inside it',
      ]);
    });
  } finally {
    warn.mockRestore();
  }
});
