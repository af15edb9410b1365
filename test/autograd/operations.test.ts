import * as ag from '@blt-ts/autograd';
import { ShapeError, scope, type Tensor, tensor, withLedger } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { relativeDistance } from '../support/op-gradient.ts';
import { type Arr, at, plain, product, range } from '../support/op-row.ts';
import { toTensors } from '../support/op-run.ts';
import { distinct, floats, nonzero, shapes, smallSize } from '../support/op-values.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;

/** f on tensors equals `want` on numbers, element by element, and its gradient passes gradcheck. */
function holds(
  f: (...xs: Tensor[]) => Tensor,
  ins: readonly Arr[],
  shape: readonly number[],
  want: readonly number[],
): void {
  scope(() => {
    const xs = toTensors(ins, backend);
    const y = f(...xs);
    expect(y.shape).toEqual(shape);
    expect(relativeDistance(y.readSync(), want)).toBeLessThan(1e-14);
    ag.gradcheck(f, xs);
  });
}

const one = shapes(smallSize).chain((shape) => floats(shape));

describe('a number stands for a scalar on either side', () => {
  const sides: Record<string, [(a: ag.Operand, b: ag.Operand) => Tensor, (a: number, b: number) => number]> = {
    add: [ag.add, (a, b) => a + b],
    sub: [ag.sub, (a, b) => a - b],
    mul: [ag.mul, (a, b) => a * b],
    div: [ag.div, (a, b) => a / b],
    maximum: [ag.maximum, Math.max],
    minimum: [ag.minimum, Math.min],
    greater: [ag.greater, (a, b) => Number(a > b)],
    equal: [ag.equal, (a, b) => Number(a === b)],
  };
  // No float: the number must not pass through 32 bits on the way.
  const c = 0.1;
  for (const [name, [f, plainly]] of Object.entries(sides)) {
    property(
      name,
      shapes(smallSize).chain((shape) => floats(shape, nonzero)),
      10,
      (raw) => {
        const [x] = distinct({ ins: [raw] }).ins;
        holds(
          (t) => f(t, c),
          [x],
          x.shape,
          x.values.map((v) => plainly(v, c)),
        );
        holds(
          (t) => f(c, t),
          [x],
          x.shape,
          x.values.map((v) => plainly(c, v)),
        );
      },
    );
  }
  test('as an attribute of one kernel, not as a tensor, where affine can say it', () => {
    scope(() => {
      const x = tensor([1, 2], [2], { backend });
      for (const f of [ag.add, ag.sub, ag.mul]) {
        const { ledger } = withLedger(() => [f(x, 3), f(3, x)]);
        expect([...ledger]).toEqual([['affine', { calls: 2, flops: 4 }]]);
      }
    });
  });
  test('but not on both', () => {
    expect(() => ag.div(1, 2)).toThrow('needs at least one tensor, got two numbers');
  });
  property('where', one, 10, (x) => {
    const condition = x.values.map((_, i) => i % 2);
    const pick = (xs: Tensor) => tensor(condition, xs.shape, { backend: xs.backend });
    holds(
      (t) => ag.where(pick(t), t, 7),
      [x],
      x.shape,
      x.values.map((v, i) => (i % 2 ? v : 7)),
    );
    holds(
      (t) => ag.where(pick(t), 7, t),
      [x],
      x.shape,
      x.values.map((v, i) => (i % 2 ? 7 : v)),
    );
  });
});

describe('functions of one tensor', () => {
  const functions: Record<string, [(x: Tensor) => Tensor, (x: number) => number]> = {
    square: [ag.square, (x) => x * x],
    silu: [ag.silu, (x) => x / (1 + Math.exp(-x))],
    relu: [ag.relu, (x) => Math.max(x, 0)],
    'affine without shift': [(x) => ag.affine(x, 3), (x) => 3 * x],
  };
  for (const [name, [f, plainly]] of Object.entries(functions)) {
    property(
      name,
      one.map((x) => distinct({ ins: [x] }).ins[0]),
      15,
      (x) => holds(f, [x], x.shape, x.values.map(plainly)),
    );
  }
});

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

describe('shapes', () => {
  const block = fc.tuple(smallSize, smallSize, smallSize).chain((shape) => floats(shape));
  property('reshape finds the size that is left', block, 15, (x) => {
    const [a, b, c] = x.shape;
    if (a * b > 0) holds((t) => ag.reshape(t, [a, -1, b]), [x], [a, c, b], x.values);
    holds((t) => ag.reshape(t, [-1]), [x], [a * b * c], x.values);
  });
  property('transpose without an order reverses the axes', block, 15, (x) => {
    const [a, b, c] = x.shape;
    const values = range(c).flatMap((k) => range(b).flatMap((j) => range(a).map((i) => at(x, i, j, k))));
    holds((t) => ag.transpose(t), [x], [c, b, a], values);
  });
  property('slice takes the axes left out whole', block, 15, (x) => {
    const [a, b, c] = x.shape;
    holds((t) => ag.slice(t, [Math.min(1, a)], [a]), [x], [Math.max(0, a - 1), b, c], x.values.slice(b * c));
  });
  property('concat counts a negative axis from the end', block, 15, (x) => {
    const [a, b, c] = x.shape;
    const values = range(a).flatMap((i) =>
      range(b).flatMap((j) => [...range(c), ...range(c)].map((k) => at(x, i, j, k))),
    );
    holds((t) => ag.concat([t, ag.neg(ag.neg(t))], -1), [x], [a, b, 2 * c], values);
    holds((t) => ag.concat([t], -3), [x], [a, b, c], x.values);
    holds((t) => ag.concat([t, t]), [x], [2 * a, b, c], [...x.values, ...x.values]);
  });
});

describe('matmul', () => {
  const size = fc.nat({ max: 3 });
  const shared = fc.record({
    lead: fc.array(size, { minLength: 1, maxLength: 2 }),
    M: size,
    K: size,
    N: size,
    tA: fc.boolean(),
    tB: fc.boolean(),
  });
  property(
    'a matrix b is shared by every matrix of a',
    shared.chain(({ lead, M, K, N, tA, tB }) =>
      fc.record({
        a: floats([...lead, ...(tA ? [K, M] : [M, K])]),
        b: floats(tB ? [N, K] : [K, N]),
        sizes: fc.constant({ lead, M, K, N, tA, tB }),
      }),
    ),
    25,
    ({ a, b, sizes: { lead, M, K, N, tA, tB } }) => {
      const matrices = range(product(lead)).map((l) => ({
        ...a,
        shape: a.shape.slice(-2),
        values: a.values.slice(l * M * K, (l + 1) * M * K),
      }));
      const values = matrices.flatMap((m) =>
        range(M).flatMap((i) =>
          range(N).map((j) =>
            plain(range(K).map((k) => (tA ? at(m, k, i) : at(m, i, k)) * (tB ? at(b, j, k) : at(b, k, j)))),
          ),
        ),
      );
      holds((x, y) => ag.matmul(x, y, { transposeA: tA, transposeB: tB }), [a, b], [...lead, M, N], values);
    },
  );
  test('linear multiplies by the transposed weight', () => {
    scope(() => {
      const x = tensor([1, 2, 3, 4], [2, 2], { backend });
      const weight = tensor([1, 0, 0, 1, 1, 1], [3, 2], { backend });
      expect([...ag.linear(x, weight).readSync()]).toEqual([1, 2, 3, 3, 4, 7]);
    });
  });
});

describe('gradcheck', () => {
  const x = tensor([0.5, -0.25, 2], [3]);
  test('passes a correct gradient and gives the largest error', () => {
    const worst = ag.gradcheck((t) => ag.exp(t), [x]);
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(1e-6);
  });
  test('names the input, the element and both numbers of a wrong one', () => {
    const wrong = (a: Tensor, b: Tensor) => ag.add(a, ag.add(ag.square(b), ag.stopGradient(b)));
    expect(() => ag.gradcheck(wrong, [x, x])).toThrow(
      /^gradcheck on reference64: input 1 \[3\], element 0: gradient 0\.5\d*, difference quotient 1\.0\d*$/,
    );
  });
  test('does not pass NaN', () => {
    expect(() => ag.gradcheck((t) => ag.log(t), [tensor([-1])])).toThrow('gradient');
  });
  test('holds integer inputs constant and in their place', () => {
    const ids = tensor(Int32Array.of(2, 0));
    ag.gradcheck((i, t) => ag.gatherRows(ag.reshape(t, [3, 1]), i), [ids, x]);
  });
  test('a looser tolerance lets a small error through', () => {
    const slightlyWrong = (t: Tensor) => ag.add(t, ag.affine(ag.stopGradient(t), 1e-3));
    expect(() => ag.gradcheck(slightlyWrong, [x])).toThrow('gradcheck');
    ag.gradcheck(slightlyWrong, [x], { tolerance: 1e-2, eps: 1e-4 });
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

describe('what is left out', () => {
  const numbers = (n: number, shape: number[]) =>
    tensor(
      range(n).map((i) => Math.sin(7 * i)),
      shape,
      { backend },
    );
  test('rope turns forward', () => {
    scope(() => {
      const x = numbers(8, [2, 4]);
      const table = { cos: numbers(4, [2, 2]), sin: numbers(4, [2, 2]) };
      const positions = tensor(Int32Array.of(0, 1), [2], { backend });
      const [turned, forward, back] = [[], [false], [true]].map((inverse) => [
        ...ag.rope(x, table, positions, 4, ...(inverse as [boolean])).readSync(),
      ]);
      expect(turned).toEqual(forward);
      expect(turned).not.toEqual(back);
    });
  });
  test.each([
    [[0, 1], [1, 3], 'hi 3 at position 1 is outside 0..2'],
    [[-1, 1], [1, 2], 'lo -1 at position 0 is outside 0..2'],
    [[1, 0], [2, 2], 'lo 0 at position 1 comes after 1; they may never decrease'],
    [[0, 0], [2, 1], 'hi 1 at position 1 comes after 2; they may never decrease'],
  ])('intervalAttention refuses lo %j and hi %j', (lo, hi, message) => {
    scope(() => {
      const x = numbers(16, [2, 8]);
      const ids = (n: number[]) => tensor(Int32Array.from(n), [n.length], { backend });
      const attend = () => ag.intervalAttention(x, x, x, { lo: ids(lo), hi: ids(hi), pairs: 2 }, 2);
      expect(attend).toThrow(new RangeError(`intervalAttention: ${message}`));
    });
  });
  test('intervalAttention divides by the root of the head size', () => {
    scope(() => {
      const [q, k, v] = [numbers(8, [1, 8]), numbers(16, [2, 8]), numbers(16, [2, 8])];
      const ids = (...n: number[]) => tensor(Int32Array.from(n), [n.length], { backend });
      const y = ag.intervalAttention(q, k, v, { lo: ids(0), hi: ids(2), pairs: 2 }, 2).readSync();
      const [qs, ks, vs] = [q, k, v].map((t) => [...t.readSync()]);
      for (const h of [0, 1]) {
        const scores = [0, 1].map((j) => range(4).reduce((s, c) => s + qs[4 * h + c] * ks[8 * j + 4 * h + c], 0) / 2);
        const weights = scores.map((s) => Math.exp(s) / scores.reduce((sum, t) => sum + Math.exp(t), 0));
        for (const c of range(4)) {
          const want = weights[0] * vs[4 * h + c] + weights[1] * vs[8 + 4 * h + c];
          expect(y[4 * h + c]).toBeCloseTo(want, 12);
        }
      }
    });
  });
  test('crossEntropy of logits that are no matrix is a matter of shape, whatever the targets', () => {
    scope(() => {
      const targets = tensor(Int32Array.of(4), [1], { backend });
      expect(() => ag.crossEntropy(numbers(10, [1, 2, 5]), targets)).toThrow(ShapeError);
      expect(() => ag.crossEntropy(tensor([1], [], { backend }), targets)).toThrow(ShapeError);
      expect(() => ag.crossEntropy(numbers(3, [1, 3]), targets)).toThrow(RangeError);
    });
  });
});

test('errors of shapes are ShapeErrors', () => {
  expect(() => ag.reshape(tensor([1, 2]), [3])).toThrow(ShapeError);
});
