/** @file Operations as methods of tensors. */
import * as ag from '@blt-ts/autograd';
import { methods } from '@blt-ts/autograd/methods';
import { scope, Tensor, tensor } from '@blt-ts/tensor';
import { expect, test } from 'vitest';

test('methods chain, and each is the operation of its name', () => {
  scope(() => {
    const x = tensor([
      [1, -2],
      [3, 4],
    ]);
    const w = tensor([
      [1, 0],
      [0, -1],
    ]);
    expect([
      ...x
        .matmul(w)
        .add(tensor([0.5, 0.5]))
        .relu()
        .readSync(),
    ]).toEqual([1.5, 2.5, 3.5, 0]);
    expect([...x.at(0, '::-1').readSync()]).toEqual([-2, 1]);
    expect(x.sum({ axes: 0 }).shape).toEqual([2]);
    const g = ag.grad((t: Tensor) => t.square().sum())(x);
    expect([...g.readSync()]).toEqual([2, -4, 6, 8]);
  });
});

test('every method is an exported operation, takes its place on the prototype, and hides nothing that was there', () => {
  for (const [name, operation] of Object.entries(methods)) {
    expect((ag as Record<string, unknown>)[name], name).toBe(operation);
    expect(Object.getOwnPropertyDescriptor(Tensor.prototype, name)?.enumerable, name).toBe(false);
  }
  for (const own of ['read', 'readSync', 'item', 'assign', 'toString', 'size', 'rank', 'dtype']) {
    expect(Object.keys(methods)).not.toContain(own);
  }
});
