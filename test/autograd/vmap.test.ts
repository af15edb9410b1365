/** @file vmap is a map and a stack, for values and gradients. */
import * as ag from '@blt-ts/autograd';
import { floats, interpret, programs, toTensor } from '@blt-ts/autograd/testing';
import { vmap } from '@blt-ts/autograd/vmap';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const rows = (x: Tensor): number[][] => {
  const each = x.size / x.shape[0];
  const all = [...x.readSync()];
  return Array.from({ length: x.shape[0] }, (_, b) => all.slice(b * each, (b + 1) * each));
};

const batches = fc
  .integer({ min: 1, max: 4 })
  .chain((n) => fc.tuple(programs(6), floats([n, 2, 3]), floats([n, 2, 3])));

property('vmap(f) is f of each example, to the bit', batches, 25, ([program, x, y]) =>
  scope(() => {
    const f = (a: Tensor, b: Tensor) => interpret(program, [a, b]).at(-1)!;
    const [xs, ys] = [toTensor(x, backend), toTensor(y, backend)];
    const n = xs.shape[0];
    const one = (t: Tensor, b: number) => ag.reshape(ag.slice(t, [b], [b + 1]), [2, 3]);
    const mapped = vmap(f)(xs, ys);
    expect(mapped.shape).toEqual([n, 2, 3]);
    expect(rows(mapped)).toEqual(Array.from({ length: n }, (_, b) => [...f(one(xs, b), one(ys, b)).readSync()]));
  }),
);

property(
  'vmap(grad(f)) is the gradient of each example, and grad of the sum of vmap(f) the same',
  batches,
  15,
  ([program, x, y]) =>
    scope(() => {
      const [xs, ys] = [toTensor(x, backend), toTensor(y, backend)];
      const loss = (a: Tensor, b: Tensor) => ag.sum(interpret(program, [a, b]).at(-1)!);
      const each = vmap((a: Tensor, b: Tensor) => ag.grad((t: Tensor) => loss(t, b))(a))(xs, ys);
      const together = ag.grad((t: Tensor) => ag.sum(vmap(loss)(t, ys)))(xs);
      // 0 and -0 are the same here: sums over examples may turn one into the other.
      expect(Array.from(each.readSync(), (v) => v + 0)).toEqual(Array.from(together.readSync(), (v) => v + 0));
    }),
);

test('the axes may be others, arguments and results trees, and ids are cut too', () => {
  scope(() => {
    const x = tensor([1, 2, 3, 4, 5, 6], [3, 2], { backend });
    const ids = tensor(Int32Array.of(0, 1, 1, 0), [2, 2], { backend });
    const f = (p: { x: Tensor; ids: Tensor }) => ({
      y: [ag.gatherRows(ag.reshape(p.x, [3, 1]), p.ids)],
      s: ag.sum(p.x),
    });
    const { y, s } = vmap(f, { inAxes: 1, outAxes: -1 })({ x, ids });
    expect([y[0].shape, s.shape]).toEqual([[2, 1, 2], [2]]);
    // Examples [1,3,5] with the ids [0,1], and [2,4,6] with the ids [1,0].
    expect([...y[0].readSync()]).toEqual([1, 4, 3, 2]);
    expect([...s.readSync()]).toEqual([9, 12]);
  });
});

/** Calls of the backend while f runs. */
function callsOf(f: () => void): number {
  const { run } = backend;
  let calls = 0;
  backend.run = (...call) => {
    calls++;
    return run.apply(backend, call as never);
  };
  try {
    f();
  } finally {
    backend.run = run;
  }
  return calls;
}
const batch = (n: number) =>
  tensor(
    Float64Array.from({ length: n * 3 }, (_, i) => i - 4),
    [n, 3],
    { backend },
  );

test('each kernel runs once for the first example and once for all, whatever their number', () => {
  const f = (x: Tensor) => ag.sum(ag.mul(ag.exp(x), x));
  const calls = (n: number) => callsOf(() => scope(() => void vmap(f)(batch(n))));
  expect(calls(50)).toBe(calls(2));
  // What the result does not need is not computed for all.
  const wasteful = (x: Tensor) => [f(x), ag.exp(x)][0];
  expect(callsOf(() => scope(() => void vmap(wasteful)(batch(50))))).toBe(calls(50) + 1);
});

test('f runs for each example if it looks at values, calls an op of its own, or changes a tensor in place', () => {
  scope(() => {
    const x = batch(4);
    const byValue = (one: Tensor) => (ag.sum(one).item() > 0 ? one : ag.neg(one));
    expect([...vmap(byValue)(x).readSync()]).toEqual([4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7]);
    const cube = ag.defineOp({
      name: 'cube',
      inputs: ['x'],
      forward: ([a]) => ag.mul(a, ag.mul(a, a)),
      vjp: (g) => [g],
    });
    expect([...vmap(cube)(x).readSync()]).toEqual(Array.from(x.readSync(), (v) => v ** 3));
    const count = tensor([0], undefined, { backend });
    const counting = (one: Tensor) => {
      count.assign([count.item() + 1]);
      return ag.mul(one, count);
    };
    expect([...vmap(counting)(x).readSync()]).toEqual(Array.from(x.readSync(), (v, i) => v * (1 + Math.floor(i / 3))));
    const freeing = (one: Tensor) => {
      const two = tensor([2], undefined, { backend });
      const y = ag.mul(one, two);
      two.dispose();
      return y;
    };
    expect([...vmap(freeing)(x).readSync()]).toEqual(Array.from(x.readSync(), (v) => v * 2));
  });
});

test('results may be constants, whole numbers and the example itself; stopGradient stops; batches nest', () => {
  scope(() => {
    const x = batch(2);
    const constant = tensor([7], undefined, { backend });
    const [same, always, order] = vmap((one: Tensor) => [one, constant, ag.argsort(one, { descending: true })])(x);
    expect([...same.readSync()]).toEqual([...x.readSync()]);
    expect([always.shape, [...always.readSync()]]).toEqual([
      [2, 1],
      [7, 7],
    ]);
    expect([order.dtype, [...order.readSync()]]).toEqual(['i32', [2, 1, 0, 2, 1, 0]]);
    const stopped = ag.grad((all: Tensor) => ag.sum(vmap((one: Tensor) => ag.mul(ag.stopGradient(one), one))(all)))(x);
    expect([...stopped.readSync()]).toEqual([...x.readSync()]);
    const products = vmap((a: Tensor) => vmap((b: Tensor) => ag.sum(ag.mul(a, b)))(x))(x);
    expect([products.shape, [...products.readSync()]]).toEqual([
      [2, 2],
      [29, 2, 2, 2],
    ]);
    const w = tensor([1, 2, 3], undefined, { backend });
    // d/dw of the sum over examples of (x . w)^2 = 2 sum (x . w) x
    const g = ag.grad((v: Tensor) => ag.sum(vmap((one: Tensor) => ag.square(ag.sum(ag.mul(one, v))))(x)))(w);
    expect([...g.readSync()]).toEqual([2 * (-16 * -4 + 2 * -1), 2 * (-16 * -3), 2 * (-16 * -2 + 2)]);
  });
});

test('what does not fit is refused by name', () => {
  const x = tensor([1, 2], [2], { backend });
  expect(() => vmap((a: Tensor, b: Tensor) => ag.add(a, b))(x, tensor([1, 2, 3], [3], { backend }))).toThrow(
    'vmap: argument 1 has 3 examples on axis 0, another one 2',
  );
  expect(() => vmap(ag.exp)(tensor([1], [], { backend }))).toThrow('vmap: argument 0 [] has no axis 0');
  expect(() => vmap(ag.exp)(tensor([], [0, 2], { backend }))).toThrow('vmap: there is no example');
  expect(() => vmap(ag.exp, { outAxes: 2 })(x)).toThrow('vmap: outAxes 2 is no axis of a batch of results []');
});
