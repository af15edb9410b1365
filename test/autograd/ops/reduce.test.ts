/** @file Reductions, and broadcasting undone. */
import * as ag from '@blt-ts/autograd';
import { at, distinct, floats, holds, plain, product, range, shapes, smallSize } from '@blt-ts/autograd/testing';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../../support/backends.ts';
import { property } from '../../support/property.ts';

const { backend } = reference64;

describe('reductions', () => {
  const matrix = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 }))
    .chain((shape) => floats(shape));
  property('axes count from the end, and are dropped unless kept', matrix, 15, (x) => {
    const [n, C] = x.shape;
    const sums = range(n).map((i) => plain(range(C).map((c) => at(x, i, c))));
    holds((t) => ag.sum(t, { axes: -1 }), [x], [n], sums);
    holds((t) => ag.sum(t, { axes: [1], keepDims: true }), [x], [n, 1], sums);
    holds((t) => ag.sum(t), [x], [], [plain(sums)]);
    holds((t) => ag.sum(t, { keepDims: true }), [x], [1, 1], [plain(sums)]);
  });
  property('mean divides by the number of elements that went into each result', matrix, 15, (x) => {
    const [n, C] = x.shape;
    holds(
      (t) => ag.mean(t, { axes: 0 }),
      [x],
      [C],
      range(C).map((c) => plain(range(n).map((i) => at(x, i, c))) / n),
    );
    holds((t) => ag.mean(t), [x], [], [plain(x.values) / (n * C)]);
  });
  property(
    'max drops its axes',
    matrix.map((x) => distinct({ ins: [x] }).ins[0]),
    15,
    (x) => {
      const [n, C] = x.shape;
      holds(
        (t) => ag.max(t, { axes: 1 }),
        [x],
        [n],
        range(n).map((i) => Math.max(...range(C).map((c) => at(x, i, c)))),
      );
      holds((t) => ag.max(t), [x], [], [Math.max(...x.values)]);
    },
  );
  test('equal largest elements share the gradient of max, maximum, minimum and segmentMax evenly', () => {
    scope(() => {
      const x = tensor([2, 5, 5, 1, 5], [5], { backend });
      const zero = tensor([0, 0, 0, 0, 0], [5], { backend });
      const third = [0, 1 / 3, 1 / 3, 0, 1 / 3];
      expect([
        ...ag
          .grad((t: Tensor) => ag.max(t))(x)
          .readSync(),
      ]).toEqual(third);
      const column = (t: Tensor) =>
        ag.sum(ag.segmentMax(ag.reshape(t, [5, 1]), tensor(Int32Array.of(0, 5), undefined, { backend })));
      expect([...ag.grad(column)(x).readSync()]).toEqual(third);
      for (const f of [ag.maximum, ag.minimum]) {
        const both = ag.grad((ts: Tensor[]) => ag.sum(f(ts[0], ts[1])))([zero, zero]);
        for (const g of both) expect([...g.readSync()]).toEqual([0.5, 0.5, 0.5, 0.5, 0.5]);
      }
      expect([
        ...ag
          .grad((t: Tensor) => ag.sum(ag.abs(t)))(zero)
          .readSync(),
      ]).toEqual([0, 0, 0, 0, 0]);
    });
  });
  property(
    'meanSquaredError',
    shapes(smallSize.filter((d) => d > 0)).chain((s) => fc.tuple(floats(s), floats(s))),
    15,
    ([x, y]) => {
      const squares = x.values.map((v, i) => (v - y.values[i]) ** 2);
      holds(ag.meanSquaredError, [x, y], [], [plain(squares) / squares.length]);
    },
  );
  test('meanSquaredError refuses to broadcast', () => {
    scope(() => {
      expect(() => ag.meanSquaredError(tensor([1, 2]), tensor([1]))).toThrow(
        'meanSquaredError: shapes [2] and [1] differ',
      );
    });
  });
});

describe('what a repeated operand gets', () => {
  test.each([
    [[2, 3], [3]],
    [
      [2, 3],
      [1, 3],
    ],
    [
      [2, 3],
      [2, 1],
    ],
    [[4, 2, 3], [1]],
    [[4, 2, 3], []],
    [[1, 3], [3]],
  ])('the gradient of %j repeated from %j has the latter shape', (large, small) => {
    scope(() => {
      const x = ag.unbroadcast(tensor(Array(product(large)).fill(1), large, { backend }), small);
      expect(x.shape).toEqual(small);
      expect([...x.readSync()]).toEqual(Array(product(small)).fill(product(large) / product(small)));
    });
  });
});
