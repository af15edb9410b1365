/** @file `RowSparse` is the dense gradient, written down sparsely. */
import {
  add,
  apply,
  embeddingBag,
  gatherRows,
  grad,
  mul,
  RowSparse,
  square,
  sum,
  sumSquares,
  valueAndGrad,
} from '@blt-ts/autograd';
import { type Arr, at, floats, i32, ids, range, relativeDistance, toTensor } from '@blt-ts/autograd/testing';
import { createReferenceBackend, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const shape = (V: number, C: number) => [V, C] as const;

interface PlainPart {
  readonly ids: Arr;
  readonly groups: number;
  readonly rows: Arr;
}

/** A table's sizes, and up to three sets of gradient rows, dropped ids among them. */
const gradients = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 3 })).chain(([V, C]) =>
  fc.record({
    V: fc.constant(V),
    C: fc.constant(C),
    parts: fc.array(
      fc
        .tuple(fc.nat({ max: 4 }), fc.integer({ min: 1, max: 3 }))
        .chain(([n, groups]) =>
          fc.record({ ids: ids([n * groups], V, -1), groups: fc.constant(groups), rows: floats([n, C]) }),
        ),
      { minLength: 1, maxLength: 3 },
    ),
  }),
);

const sparse = (V: number, C: number, parts: readonly PlainPart[]): RowSparse =>
  new RowSparse(
    shape(V, C),
    parts.map((p) => ({ ids: Int32Array.from(p.ids.values), groups: p.groups, rows: toTensor(p.rows, backend) })),
  );

/** Entry e of the ids adds row floor(e / groups) to the row it names. */
function dense(V: number, C: number, parts: readonly PlainPart[]): number[] {
  const total = new Array<number>(V * C).fill(0);
  for (const { ids: to, groups, rows } of parts) {
    to.values.forEach((id, e) => {
      if (id >= 0) for (const c of range(C)) total[id * C + c] += at(rows, Math.floor(e / groups), c);
    });
  }
  return total;
}

describe('RowSparse is the dense gradient, written down sparsely', () => {
  property('toDense', gradients, 40, ({ V, C, parts }) =>
    scope(() => {
      const all = sparse(V, C, parts).toDense();
      expect(all.shape).toEqual([V, C]);
      expect(relativeDistance(all.readSync(), dense(V, C, parts))).toBeLessThan(1e-14);
    }),
  );
  property('coalesce: each touched row once, rising, with its sum', gradients, 40, ({ V, C, parts }) =>
    scope(() => {
      const { ids: found, rows } = sparse(V, C, parts).coalesce();
      const touched = new Set(parts.flatMap((p) => p.ids.values).filter((id) => id >= 0));
      expect([...found]).toEqual([...touched].sort((a, b) => a - b));
      expect(rows.shape).toEqual([touched.size, C]);
      const want = dense(V, C, parts);
      const picked = [...found].flatMap((id) => want.slice(id * C, (id + 1) * C));
      expect(relativeDistance(rows.readSync(), picked)).toBeLessThan(1e-14);
    }),
  );
  property('plus adds', gradients, 40, ({ V, C, parts }) =>
    scope(() => {
      const [first, ...rest] = parts;
      const both = sparse(V, C, [first]).plus(sparse(V, C, rest.length > 0 ? rest : [first]));
      const want = dense(V, C, rest.length > 0 ? parts : [first, first]);
      expect(both.shape).toEqual([V, C]);
      expect(relativeDistance(both.toDense().readSync(), want)).toBeLessThan(1e-14);
    }),
  );
  test('rows are summed in the order of the entries: same bits whatever else is in the table', () => {
    scope(() => {
      // In 32 bits 1e8 + 1 - 1e8 depends on the order.
      const own = createReferenceBackend();
      const rows = tensor([1e8, 1, -1e8, 5], [4, 1], { backend: own });
      const sum = (to: number[]) => [
        ...new RowSparse([9, 1], [{ ids: Int32Array.from(to), groups: 1, rows }]).coalesce().rows.readSync(),
      ];
      expect(sum([3, 3, 3, 8])).toEqual([0, 5]);
      expect(sum([3, 3, 3, 0])).toEqual([5, 0]);
    });
  });
});

describe('tables', () => {
  const reads = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3 })).chain(([V, C]) =>
    fc.record({
      table: floats([V, C]),
      first: fc.nat({ max: 4 }).chain((n) => ids([n], V)),
      second: fc.nat({ max: 4 }).chain((n) => ids([n], V)),
    }),
  );
  const loss = (first: Arr, second: Arr) => (table: Tensor) => {
    const read = (x: Arr) => sum(square(gatherRows(table, toTensor(x, table.backend))));
    return add(read(first), read(second));
  };

  property(
    'a row read k times gets k contributions, whether the table is larger than the reads or not',
    reads,
    30,
    ({ table, first, second }) =>
      scope(() => {
        const g = grad(loss(first, second))(toTensor(table, backend));
        const count = (row: number) => [...first.values, ...second.values].filter((id) => id === row).length;
        const want = table.values.map((v, i) => 2 * v * count(Math.floor(i / table.shape[1])));
        expect(relativeDistance(g.readSync(), want)).toBeLessThan(1e-14);
      }),
  );
  property(
    'the sparse option changes the form of the gradient and not its value',
    reads,
    30,
    ({ table, first, second }) =>
      scope(() => {
        const f = loss(first, second);
        const t = toTensor(table, backend);
        const { grads } = valueAndGrad(f, { sparse: true })(t);
        const all = grads instanceof RowSparse ? grads.toDense() : grads;
        expect(all.readSync()).toEqual(grad(f)(t).readSync());
      }),
  );
  test('a table larger than what was read of it gives RowSparse under the sparse option, a tensor otherwise', () => {
    scope(() => {
      const t = zeros([100, 2], { backend });
      const f = (x: Tensor) => sum(gatherRows(x, tensor(Int32Array.of(7, 7, 3), undefined, { backend })));
      const { grads } = valueAndGrad(f, { sparse: true })(t);
      expect(grads).toBeInstanceOf(RowSparse);
      const { ids: touched, rows } = (grads as RowSparse).coalesce();
      expect([...touched]).toEqual([3, 7]);
      expect([...rows.readSync()]).toEqual([1, 1, 2, 2]);
      expect(grad(f)(t)).not.toBeInstanceOf(RowSparse);
      expect(valueAndGrad(f)(t).grads.shape).toEqual([100, 2]);
    });
  });
  test('a table with no more rows than were read of it gives a tensor', () => {
    scope(() => {
      const t = zeros([3, 2], { backend });
      const f = (x: Tensor) => sum(gatherRows(x, tensor(Int32Array.of(0, 0, 2), undefined, { backend })));
      const { grads } = valueAndGrad(f, { sparse: true })(t);
      expect(grads).not.toBeInstanceOf(RowSparse);
      expect([...(grads as Tensor).readSync()]).toEqual([2, 2, 0, 0, 1, 1]);
    });
  });
  test('reads and a dense use of the same table add up, in either order', () => {
    scope(() => {
      const t = tensor([1, 2, 3, 4, 5, 6], [3, 2], { backend });
      const read = (x: Tensor) => sum(embeddingBag(x, tensor(Int32Array.of(0, 0, 2, -1), [2, 2], { backend })));
      const want = [2 * 1 + 2, 2 * 2 + 2, 2 * 3, 2 * 4, 2 * 5 + 1, 2 * 6 + 1];
      for (const f of [(x: Tensor) => add(read(x), sumSquares(x)), (x: Tensor) => add(sumSquares(x), read(x))]) {
        const { grads } = valueAndGrad(f, { sparse: true })(t);
        expect([...(grads as Tensor).readSync()]).toEqual(want);
      }
    });
  });
  test('a table that is itself computed gets its gradient through', () => {
    scope(() => {
      const t = tensor([1, 2, 3, 4, 5, 6], [3, 2], { backend });
      const f = (x: Tensor) => sum(embeddingBag(mul(x, x), tensor(Int32Array.of(0, 2), [2, 1], { backend })));
      expect([...grad(f)(t).readSync()]).toEqual([2, 4, 0, 0, 10, 12]);
    });
  });
});

describe.each(backends)('on $name', ({ backend: own }) => {
  test('a sparse step costs memory for the rows that were read, not for the table', () => {
    const table = zeros([10_000, 8], { backend: own });
    const before = own.bytesInUse;
    scope(() => {
      const bag = i32([1, 5, 9999, -1], [2, 2]);
      const { grads } = valueAndGrad((t: Tensor) => sum(embeddingBag(t, toTensor(bag, own))), { sparse: true })(table);
      const { rows } = (grads as RowSparse).coalesce();
      expect(rows.shape).toEqual([3, 8]);
      expect(own.bytesInUse - before).toBeLessThan(2000);
    });
    expect(own.bytesInUse).toBe(before);
    scope(() => run('neg', [table], {}) && null);
  });
});

test('a RowSparse gradient flows on through the table that made it: second derivatives of reads', () => {
  scope(() => {
    const t = tensor([1, 2, 3, 4, 5, 6, 7, 8], [4, 2], { backend });
    const read = (x: Tensor) => apply('gatherRows', [x, tensor(Int32Array.of(2), undefined, { backend })], {});
    const cube = (x: Tensor) => {
      const y = read(x);
      return sum(mul(y, mul(y, y)));
    };
    // d^2 of sum y^3 along itself: 6 y
    expect([...grad((x: Tensor) => sum(grad(cube)(x)))(t).readSync()]).toEqual([0, 0, 0, 0, 30, 36, 0, 0]);
  });
});
