/** @file Tables outside the WebAssembly memory give the bits of tables inside. */
import { createWasmBackend, referenceBackend, run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { property } from '../../support/property.ts';

// Tables of 800 bytes are outside here, what is made of a few of their rows is not.
const outside = createWasmBackend({ outsideBytes: 600, deterministic: true });
const inside = createWasmBackend({ deterministic: true });

const V = 40;
const C = 5;
const numbers = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 1.7));
const adam = { lr: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, step: 3 };

describe('a table outside the WebAssembly memory gives the same bits as one inside', () => {
  const ids = fc.array(fc.integer({ min: -1, max: V - 1 }), { minLength: 2, maxLength: 30 });
  property('when its rows are read', ids, 50, (list) => {
    const even = Int32Array.from(list.slice(0, list.length - (list.length % 2)));
    const read = (backend: typeof inside) =>
      scope(() => {
        const table = tensor(numbers(V * C, 1), [V, C], { backend });
        const bag = run('embeddingBag', [table, tensor(even, [even.length / 2, 2], { backend })], {})[0];
        const rows = run('gatherRows', [table, tensor(even.map(Math.abs), undefined, { backend })], {})[0];
        return [bag.readSync(), rows.readSync()];
      });
    const [a, b] = [read(outside), read(inside)];
    a.forEach((values, i) => {
      expect(firstDifference(values, b[i])).toBe(null);
    });
  });

  property(
    'when its rows are updated, and nothing leaks',
    fc.subarray([...Array(V).keys()], { minLength: 1 }),
    50,
    (rows) => {
      const update = (backend: typeof inside) => {
        const before = backend.bytesInUse;
        const result = scope(() => {
          const on = { backend };
          const [p, m, v] = [1, 2, 3].map((seed) =>
            tensor(
              numbers(V * C, seed).map((x) => x * x),
              [V, C],
              on,
            ),
          );
          const touched = tensor(Int32Array.from(rows), undefined, on);
          run('adamwCatchUp', [p, m, v, touched, tensor(numbers(rows.length * 5, 4), [rows.length, 5], on)], {});
          run(
            'adamwRows',
            [p, m, v, touched, tensor(numbers(rows.length * C, 5), [rows.length, C], on), tensor([1], [], on)],
            adam,
          );
          return [p, m, v].map((t) => t.readSync());
        });
        expect(backend.bytesInUse).toBe(before);
        return result;
      };
      const [a, b] = [update(outside), update(inside)];
      a.forEach((values, i) => {
        expect(firstDifference(values, b[i])).toBe(null);
      });
    },
  );

  const rows = fc.subarray([...Array(V).keys()], { minLength: 1 });
  const doing = fc.array(
    fc.oneof(
      fc.record({ what: fc.constantFrom('catchUp', 'update', 'updateFirst', 'record'), rows }),
      fc.record({ what: fc.constant('bag'), rows: ids }),
      fc.record({ what: fc.constantFrom('read', 'sum', 'assign'), rows: fc.constant([0]) }),
    ),
    { minLength: 1, maxLength: 12 },
  );
  property('whatever is done with its rows and with the whole, in any order', doing, 100, (list) => {
    const all = (backend: typeof inside) => {
      const before = backend.bytesInUse;
      const results = scope(() => {
        const on = { backend };
        const tables = [1, 2, 3].map((seed) => tensor(numbers(V * C, seed).map(Math.abs), [V, C], on));
        const seen: Float32Array[] = [];
        list.forEach(({ what, rows }, at) => {
          const n = rows.length;
          const touched = tensor(Int32Array.from(rows), undefined, on);
          const [g, one] = [tensor(numbers(n * C, at), [n, C], on), tensor([1], [], on)];
          const update = (p: Tensor[]) => run('adamwRows', [...p, touched, g, one], adam);
          if (what === 'catchUp') {
            run('adamwCatchUp', [...tables, touched, tensor(numbers(n * 5, at), [n, 5], on)], {});
          } else if (what === 'update') update(tables);
          // Each table once in another place: what stays inside of one is not what stays of the others.
          else if (what === 'updateFirst') update([tables[1], tables[2], tables[0]]);
          else if (what === 'bag') {
            const even = Int32Array.from(rows.slice(0, n - (n % 2)));
            const bag = run('embeddingBag', [tables[0], tensor(even, [even.length / 2, 2], on)], {})[0];
            seen.push(bag.readSync() as Float32Array);
          } else if (what === 'read') seen.push(tables[1].readSync() as Float32Array);
          else if (what === 'sum') seen.push(run('sumSquares', [tables[2]], {})[0].readSync() as Float32Array);
          else if (what === 'assign') tables[0].assign(numbers(V * C, at));
          else {
            // What is freed in a recording is written to again in each replay.
            const recording = backend.record?.(() => {
              scope(() => void run('neg', [g], {}));
              update(tables);
            });
            recording?.replay();
            recording?.release();
          }
        });
        return [...seen, ...tables.map((t) => t.readSync() as Float32Array)];
      });
      expect(backend.bytesInUse).toBe(before);
      return results;
    };
    const [a, b] = [all(outside), all(inside)];
    a.forEach((values, i) => {
      expect(firstDifference(values, b[i])).toBe(null);
    });
  });

  property('other kernels on it follow the definition', fc.integer({ min: 0, max: 1000 }), 20, (seed) => {
    const total = (backend: typeof inside | typeof referenceBackend): Tensor =>
      run('sumSquares', [tensor(numbers(V * C, seed), [V, C], { backend })], {})[0];
    scope(() => {
      expect(total(outside).item()).toBe(total(referenceBackend).item());
    });
  });
});

test('a table that the process has no memory for is answered with both sizes, and counts for nothing', () => {
  const backend = createWasmBackend({ outsideBytes: 600 });
  const there = tensor(new Float32Array(2 ** 18), undefined, { backend });
  expect(() => backend.allocate('f32', 2 ** 50)).toThrow(
    /^out of memory: 4294967296 MiB asked for, with 1 MiB in use by other large tables; use smaller or fewer ones$/,
  );
  expect(backend.bytesInUse).toBe(there.size * 4);
});
