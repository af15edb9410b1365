/** @file vmap is a map and a stack, for values and gradients. */
import * as ag from '@blt-ts/autograd';
import { floats, interpret, programs, toTensor } from '@blt-ts/autograd/testing';
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
    const mapped = ag.vmap(f)(xs, ys);
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
      const each = ag.vmap((a: Tensor, b: Tensor) => ag.grad((t: Tensor) => loss(t, b))(a))(xs, ys);
      const together = ag.grad((t: Tensor) => ag.sum(ag.vmap(loss)(t, ys)))(xs);
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
    const { y, s } = ag.vmap(f, { inAxes: 1, outAxes: -1 })({ x, ids });
    expect([y[0].shape, s.shape]).toEqual([[2, 1, 2], [2]]);
    // Examples [1,3,5] with the ids [0,1], and [2,4,6] with the ids [1,0].
    expect([...y[0].readSync()]).toEqual([1, 4, 3, 2]);
    expect([...s.readSync()]).toEqual([9, 12]);
  });
});

test('what does not fit is refused by name', () => {
  const x = tensor([1, 2], [2], { backend });
  expect(() => ag.vmap((a: Tensor, b: Tensor) => ag.add(a, b))(x, tensor([1, 2, 3], [3], { backend }))).toThrow(
    'vmap: argument 1 has 3 examples on axis 0, another one 2',
  );
  expect(() => ag.vmap(ag.exp)(tensor([1], [], { backend }))).toThrow('vmap: argument 0 [] has no axis 0');
  expect(() => ag.vmap(ag.exp)(tensor([], [0, 2], { backend }))).toThrow('vmap: there is no example');
  expect(() => ag.vmap(ag.exp, { outAxes: 2 })(x)).toThrow('vmap: outAxes 2 is no axis of a batch of results []');
});
