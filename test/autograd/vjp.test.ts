/** @file Products with the Jacobian: vjp, jvp and hvp agree with each other, with difference quotients and with the matrices. */
import * as ag from '@blt-ts/autograd';
import {
  gradientOf,
  interpret,
  kernelNames,
  ofVariables,
  operationOf,
  type Program,
  programs,
  relativeDistance,
  rowOf,
  smallSize,
  toTensor,
  variables,
} from '@blt-ts/autograd/testing';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const make = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  tensor(values, shape, { backend });

interface Point {
  readonly x: Tensor;
  readonly y: Tensor;
}
/** A program as a function of a tree, with two results. */
const run =
  (program: Program) =>
  ({ x, y }: Point) => {
    const made = interpret(program, [x, y]);
    return { last: made.at(-1)!, all: [ag.mul(made.at(-1)!, made[2] ?? y)] };
  };
const pointOf = ({ x, y }: Program): Point => ({ x: toTensor(x, backend), y: toTensor(y, backend) });

/** Numbers that repeat nothing, in the form of a tree. */
const spread = <T extends object>(tree: T, start: number) => {
  let i = start;
  return ag.mapTree(tree, (leaf) =>
    make(
      Array.from({ length: leaf.size }, () => ((i++ * 0.618034) % 1) - 0.45),
      leaf.shape,
    ),
  );
};
const numbers = (tree: object): number[] => ag.leaves(tree).flatMap(([, leaf]) => [...leaf.readSync()]);
const expectNear = (a: object, b: object, bound: number) =>
  expect(relativeDistance(numbers(a), numbers(b))).toBeLessThan(bound);

/** The sum of all products of two trees of one form. */
const dot = (a: object, b: object): number => {
  const other = numbers(b);
  return numbers(a).reduce((total, v, i) => total + v * other[i], 0);
};

describe('of every kernel with a gradient, the fused ones too: u . (J v) = (u J) . v, and (H v) . w = (H w) . v', () => {
  for (const kernel of kernelNames.filter((name) => gradientOf(rowOf(name)))) {
    const op = operationOf(kernel);
    const cases = op.cases(smallSize).map((c) => op.smooth?.(c) ?? c);
    property(kernel, cases, 4, (c) =>
      scope(() => {
        const f = ofVariables(op.operation, c, op);
        const xs = variables(c, op).map((i) => toTensor(c.ins[i], backend));
        const [v, w] = [spread(xs, 1), spread(xs, 20)];
        const u = spread(f(xs), 50);
        const { value, tangent } = ag.jvp(f, xs, v);
        expectNear(value, f(xs), 1e-15);
        const [left, right] = [dot(u, tangent), dot(ag.vjp(f, xs, u).grads, v)];
        expect(Math.abs(left - right)).toBeLessThan(1e-10 * (1 + Math.abs(left)));
        const loss = (inputs: readonly Tensor[]) => ag.sum(ag.mul(u, ag.square(f(inputs))));
        const [first, second] = [dot(ag.hvp(loss, xs, v), w), dot(ag.hvp(loss, xs, w), v)];
        expect(Math.abs(first - second)).toBeLessThan(1e-9 * (1 + Math.abs(first)));
      }),
    );
  }
});

describe('of random programs', () => {
  property('jvp is the central difference along v, and gives the value too', programs(), 30, (program) =>
    scope(() => {
      const f = run(program);
      const x = pointOf(program);
      const v = spread(x, 3);
      const { value, tangent } = ag.jvp(f, x, v);
      const at = (step: number) => f(ag.treeMap((p, d) => ag.add(p, ag.affine(d, step)), x, v) as unknown as Point);
      const quotient = ag.treeMap((a, b) => ag.affine(ag.sub(a, b), 0.5e5), at(1e-5), at(-1e-5));
      expectNear(tangent, quotient, 1e-6);
      expect(numbers(value)).toEqual(numbers(f(x)));
    }),
  );

  property('u . (J v) is (u J) . v', programs(), 30, (program) =>
    scope(() => {
      const f = run(program);
      const x = pointOf(program);
      const v = spread(x, 3);
      const u = spread(f(x), 40);
      const { grads, value } = ag.vjp(f, x, u);
      const { tangent } = ag.jvp(f, x, v);
      const [left, right] = [ag.treeDot(u, tangent).item(), ag.treeDot(grads, v).item()];
      expect(Math.abs(left - right)).toBeLessThan(1e-9 * Math.max(1, Math.abs(left)));
      expect(numbers(value)).toEqual(numbers(f(x)));
    }),
  );

  property('hvp is the product with the hessian', programs(5), 15, (program) =>
    scope(() => {
      const f = (p: Point) => ag.sumSquares(run(program)(p).last);
      const x = pointOf(program);
      const v = spread(x, 3);
      const H = ag.hessian(f)(x);
      const product = ag.mapTree(x, (p, path) => {
        const row = (H as unknown as Record<string, Point>)[path];
        const columns = ag
          .leaves(row)
          .map(([name, block]) =>
            ag.matmul(ag.reshape(block, [p.size, -1]), ag.reshape(v[name as keyof Point], [-1, 1])),
          );
        return ag.reshape(columns.reduce((a, b) => ag.add(a, b)), p.shape); // biome-ignore format: one sentence
      });
      expectNear(ag.hvp(f, x, v), product, 1e-9);
    }),
  );

  property('vjp row by row is the jacobian', programs(6), 15, (program) =>
    scope(() => {
      const f = (p: Point) => run(program)(p).last;
      const x = pointOf(program);
      const u = spread(f(x), 7);
      const J = ag.jacobian(f)(x) as unknown as Point;
      const product = ag.mapTree(x, (p, path) =>
        ag.reshape(ag.matmul(ag.reshape(u, [1, 6]), ag.reshape(J[path as keyof Point], [6, p.size])), p.shape),
      );
      expectNear(ag.vjp(f, x, u).grads, product, 1e-10);
    }),
  );
});

describe('of functions with known derivatives', () => {
  const A = make([1, 2, 3, 4, 5, 6], [2, 3]);

  test('the jacobian of x -> A x is A, of shape [result, argument]', () => {
    const J = ag.jacobian((x: Tensor) => ag.reshape(ag.matmul(A, ag.reshape(x, [3, 1])), [2]))(make([7, 8, 9]));
    expect(J.shape).toEqual([2, 3]);
    expect([...J.readSync()]).toEqual([1, 2, 3, 4, 5, 6]);
  });
  test('the hessian of a^2 b is [[2 b, 2 a], [2 a, 0]]', () => {
    const H = ag.hessian(({ a, b }: { a: Tensor; b: Tensor }) => ag.mul(ag.square(a), b))({
      a: make([3], []),
      b: make([5], []),
    });
    expect([H.a.a, H.a.b, H.b.a, H.b.b].map((t) => t.item())).toEqual([10, 6, 6, 0]);
  });
  test('gradients go through jvp: d/dx (3 x^2) v = 6 x v', () => {
    const slope = (x: Tensor) => ag.jvp((t: Tensor) => ag.mul(ag.square(t), t), x, make([2], [])).tangent;
    expect(
      ag
        .grad(slope)(make([5], []))
        .item(),
    ).toBeCloseTo(60, 10);
  });
  test('a result that does not depend on x has the tangent 0', () => {
    const { tangent } = ag.jvp(() => make([1, 2]), make([3]), make([1]));
    expect([...tangent.readSync()]).toEqual([0, 0]);
  });
  test('a v of another form or shape is refused by name', () => {
    const f = (x: { a: Tensor }) => ag.exp(x.a);
    expect(() => ag.vjp(f, { a: make([1, 2]) }, make([1]))).toThrow(
      'tensor "" has shape [2] in one tree and [1] in the other',
    );
    expect(() => ag.jvp(f, { a: make([1, 2]) }, { b: make([1, 2]) } as never)).toThrow(
      'treeMap: tree 1 has a tensor "b" and tree 0 has none; all trees must have one form',
    );
  });
  test('nothing is left behind', () => {
    const x = make([1, 2, 3]);
    const before = backend.bytesInUse;
    scope(() => {
      ag.hessian((t: Tensor) => ag.sum(ag.softmax(t)))(x);
      ag.hvp((t: Tensor) => ag.sum(ag.exp(t)), x, x);
      ag.jvp(ag.softmax, x, x);
    });
    expect(backend.bytesInUse).toBe(before);
  });
});
