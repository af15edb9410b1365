/** @file A replayed computation has the bits of the recorded one. */
import {
  AnomalyError,
  type Backend,
  createReferenceBackend,
  createWasmBackend,
  keep,
  Replay,
  type ReplayInput,
  release,
  run,
  scope,
  type Tensor,
  tensor,
  totalFlops,
  withAnomalyDetection,
  withLedger,
} from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../support/property.ts';
import { runs } from '../support/runs.ts';

const C = 6;
const float = fc.integer({ min: -4096, max: 4096 }).map((i) => i / 1024);

/** Native and other kernels, a table outside the memory, a row written in place, temporaries freed and made. */
function chain(backend: Backend) {
  const numbers = (n: number, shift: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i + shift));
  const table = keep(tensor(numbers(20 * C, 0), [20, C], { backend }));
  const weight = keep(tensor(numbers(C * C, 9), [C, C], { backend }));
  const memory = keep(tensor(new Float32Array(4 * C), [4, C], { backend }));
  const f = ([ids, slots, x]: Tensor[]): Tensor[] => {
    const [rows] = run('gatherRows', [table, ids], {});
    const [projected] = run('matmul', [rows, weight], { transposeA: false, transposeB: true });
    const [shifted] = run('add', [projected, run('reshape', [x], { shape: [ids.size, C] })[0]], {});
    const [waves] = run('sin', [shifted], {});
    run('writeRows', [memory, slots, waves], {});
    return [run('mul', [waves, shifted], {})[0], run('sum', [memory], { axes: [-1] })[0]];
  };
  return { f, memory };
}

const inputs = fc
  .integer({ min: 1, max: 4 })
  .chain((n) =>
    fc.tuple(
      fc.array(fc.integer({ min: 0, max: 19 }), { minLength: n, maxLength: n }),
      fc.shuffledSubarray([0, 1, 2, 3], { minLength: n, maxLength: n }),
      fc.array(float, { minLength: n * C, maxLength: n * C }),
    ),
  )
  .map(([ids, slots, x]) => [Int32Array.from(ids), Int32Array.from(slots), Float32Array.from(x)]);

describe.each([
  ['wasm', () => createWasmBackend()],
  ['wasm with tables outside its memory', () => createWasmBackend({ outsideBytes: 300 })],
  ['wasm, 2 threads', () => createWasmBackend({ threads: 2, leastShared: 0 })],
  ['reference, which does not record', () => createReferenceBackend()],
] as const)('%s', (_, make) => {
  property(
    'a replayed computation gives the bits of the computation itself, whatever else uses the memory between two runs',
    fc.array(inputs, { minLength: 1, maxLength: 8 }),
    runs(20),
    (rounds) => {
      const [plain, recorded] = [make(), make()].map((backend) => ({ backend, ...chain(backend) }));
      const replay = new Replay(recorded.backend, recorded.f);
      for (const values of rounds) {
        const expected = scope(() =>
          plain.f(values.map((x) => tensor(x, undefined, { backend: plain.backend }))).map((y) => [...y.readSync()]),
        );
        expect(scope(() => replay.run(values).map((y) => [...y.readSync()]))).toEqual(expected);
        expect(recorded.memory.readSync()).toEqual(plain.memory.readSync());
        scope(() => tensor(new Float32Array(4 * C).fill(Number.NaN), undefined, { backend: recorded.backend }));
      }
      replay.forget();
    },
  );
});

const backend = createWasmBackend();
const { f } = chain(backend);
const values = [Int32Array.of(3, 4), Int32Array.of(0, 1), new Float32Array(2 * C)];

const step = (replay: Replay, x: readonly ReplayInput[] = values) =>
  scope(() => {
    replay.run(x);
  });

test('a replay takes no memory, and forgetting it gives back what recording took', () => {
  const before = backend.bytesInUse;
  const replay = new Replay(backend, f);
  step(replay);
  const after = backend.bytesInUse;
  for (let i = 0; i < 10; i++) step(replay);
  expect(backend.bytesInUse).toBe(after);
  expect(after).toBeGreaterThan(before);
  replay.forget();
  expect(backend.bytesInUse).toBe(before);
});

test('recording the same anew a thousand times does not grow the memory', () => {
  const replay = new Replay(backend, f);
  const address = () => {
    const probe = tensor(new Float32Array(5000), undefined, { backend });
    const { address } = probe.storage.handle as { address: number };
    release(probe);
    return address;
  };
  const round = () => {
    step(replay);
    replay.forget();
  };
  round();
  const free = address();
  const grown = backend.allocate('f32', 70_000);
  for (let i = 0; i < 1000; i++) round();
  const next = backend.allocate('f32', 70_000);
  // The two blocks lie side by side: nothing was taken from the top of the memory between them.
  expect((next.handle as number) - (grown.handle as number)).toBeLessThan(1.3 * 70_000 * 4);
  // And nothing else was taken: the next free place is behind these two.
  expect(address() - free).toBe(2 * 70_000 * 4);
});

test('a ledger and the search for anomalies see every kernel', () => {
  const replay = new Replay(backend, f);
  step(replay);
  const { ledger } = withLedger(() => step(replay));
  expect(totalFlops(ledger, ['matmul'])).toBe(2 * 2 * C * C);
  const bad = [values[0], values[1], new Float32Array(2 * C).fill(Number.NaN)];
  expect(() => step(replay, bad)).not.toThrow();
  expect(() => withAnomalyDetection(() => step(replay, bad))).toThrow(AnomalyError);
});

test('a failing computation leaves nothing behind and can be run again', () => {
  let fails = true;
  const before = backend.bytesInUse;
  const replay = new Replay(backend, ([ids]) => {
    const [y] = run('gatherRows', [tensor(new Float32Array(4), [2, 2], { backend }), ids], {});
    if (fails) throw new Error('no');
    return [y];
  });
  expect(() => replay.run([Int32Array.of(1)])).toThrow('no');
  fails = false;
  expect(scope(() => [...replay.run([Int32Array.of(1)])[0].readSync()])).toEqual([0, 0]);
  replay.forget();
  expect(backend.bytesInUse).toBe(before);
});

describe('what does not belong to a recording', () => {
  const backend = createWasmBackend();

  test('forget leaves alone, if f returned it', () =>
    scope(() => {
      const weight = tensor([1, 2], undefined, { backend });
      const replay = new Replay(backend, ([x]) => [weight, x, run('neg', [x], {})[0]]);
      const read = () => replay.run([Float32Array.of(3)]).map((y) => [...y.readSync()]);
      for (let time = 0; time < 3; time++) {
        expect(read()).toEqual([[1, 2], [3], [-3]]);
        replay.forget();
        expect([...weight.readSync()]).toEqual([1, 2]);
      }
    }));

  test('is values of another kind: floats do not become the whole numbers of an earlier run', () =>
    scope(() => {
      const table = tensor([[0], [1], [2]], undefined, { backend });
      const replay = new Replay(backend, ([ids]) => run('gatherRows', [table, ids], {}));
      expect(replay.run([Int32Array.of(2)])[0].item()).toBe(2);
      expect(() => replay.run([Float32Array.of(1.7)])).toThrow('gatherRows: input 1 must be i32, got f32 [1]');
      expect(replay.run([Int32Array.of(1)])[0].item()).toBe(1);
      replay.forget();
    }));
});
