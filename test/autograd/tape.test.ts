/** @file Recording: constants, and values that no tape would see or that change between the two passes. */
import * as ag from '@blt-ts/autograd';
import { type Arr, f32, toTensor } from '@blt-ts/autograd/testing';
import { createReferenceBackend, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';

const { backend } = reference64;
const scalar = (value: number) => tensor([value], [], { backend });
const values = (x: Tensor) => [...x.readSync()];

describe('stopGradient', () => {
  test('d/dx (x stop(x)) = x', () => {
    scope(() =>
      expect(
        ag
          .grad((x: Tensor) => ag.mul(x, ag.stopGradient(x)))(scalar(3))
          .item(),
      ).toBe(3),
    );
  });
  test('cuts off every tape, outer ones too', () => {
    scope(() => {
      const f = (x: Tensor) => ag.mul(x, ag.grad((y: Tensor) => ag.mul(y, ag.stopGradient(ag.square(y))))(x));
      // x * stop(x^2): the outer derivative is x^2 alone
      expect(ag.grad(f)(scalar(3)).item()).toBe(9);
    });
  });
});

describe('values that change between the two passes', () => {
  const changed = /mul: tensor \[1\] was changed in place between the forward and the backward pass/;
  const one = () => tensor([1], [1]);

  test('assign', () => {
    const c = tensor([2], [1]);
    const f = (x: Tensor) => {
      const y = ag.mul(x, c);
      c.assign([100]);
      return ag.sum(y);
    };
    expect(() => ag.grad(f)(one())).toThrow(changed);
  });

  test('a kernel in place, run by hand', () => {
    const c = tensor([2], [1]);
    const f = (x: Tensor) => {
      const y = ag.mul(x, c);
      run('lerp', [c, zeros([1])], { weight: 0.5 });
      return ag.sum(y);
    };
    expect(() => ag.grad(f)(one())).toThrow(changed);
  });

  test('what a recomputed function read', () => {
    const c = tensor([2], [1]);
    const f = (x: Tensor) => {
      const y = ag.recompute(() => ag.mul(x, c));
      c.assign([100]);
      return ag.sum(y);
    };
    expect(() => ag.grad(f)(one())).toThrow('recompute: tensor [1] was changed in place');
  });

  test('what the way back does not read may change, and so may anything before and after', () => {
    const c = tensor([2], [1]);
    c.assign([3]);
    const f = (x: Tensor) => {
      const y = ag.add(ag.mul(x, 5), c);
      c.assign([100]);
      return ag.sum(y);
    };
    expect([...ag.grad(f)(one()).readSync()]).toEqual([5]);
  });
});

describe('values that no tape sees', () => {
  const x = tensor([1, 2]);
  const unseen = 'depends on what a gradient is being taken of, and the gradient would not see what is made of it';

  test('readSync and item', () => {
    const f = (t: Tensor) => ag.sum(ag.mul(t, tensor(t.readSync())));
    expect(() => ag.grad(f)(x)).toThrow(`readSync: tensor [2] ${unseen}`);
    expect(() => ag.grad((t: Tensor) => ag.mul(ag.sum(t), ag.sum(t).item()))(x)).toThrow(
      `readSync: tensor [] ${unseen}`,
    );
    expect(() => ag.grad((t: Tensor) => ag.recompute(() => ag.sum(ag.mul(t, t.readSync()[0]))))(x)).toThrow(unseen);
  });

  test('run', () => {
    const f = (t: Tensor) => ag.sum(ag.add(t, run('exp', [t], {})[0]));
    expect(() => ag.grad(f)(x)).toThrow(`run('exp'): tensor [2] ${unseen}`);
  });

  test('through stopGradient they are read, printing is no reading, and outside of a gradient all is open', () => {
    const f = (t: Tensor) => {
      expect(String(ag.square(t))).toContain('1.0000');
      return ag.sum(ag.mul(t, tensor(ag.stopGradient(t).readSync())));
    };
    expect([...ag.grad(f)(x).readSync()]).toEqual([1, 2]);
    expect(x.readSync()[1]).toBe(2);
    expect(() =>
      ag.grad(() => {
        throw new Error('mine');
      })(x),
    ).toThrow('mine');
    expect(run('exp', [x], {})[0].size).toBe(2);
  });

  test('cos and sin of rope', () => {
    const positions = tensor(Int32Array.of(0));
    const table = { cos: tensor([1], [1, 1]), sin: tensor([0], [1, 1]) };
    const turned = (t: typeof table) => ag.sum(ag.rope(tensor([1, 2], [1, 2]), t, positions, 2));
    expect(() => ag.grad(turned)(table)).toThrow('rope: cos and sin have no gradient; they are constants');
  });

  test('the second output of a fused kernel', () => {
    const [one, ids] = [tensor([1, 2], [1, 2]), tensor(Int32Array.of(0))];
    const attrs = { heads: 1, kvHeads: 1, scale: 1, pairs: 1 };
    const lse = (q: Tensor) =>
      ag.sum(ag.applyAll('intervalAttention', [q, one, one, ids, tensor(Int32Array.of(1))], attrs)[1]);
    expect(() => ag.grad(lse)(one)).toThrow('intervalAttention: its log-sum-exp has no gradient');
    expect(ids.size).toBe(1);
  });
});

test('an operation outside any gradient is not recorded and costs no memory afterwards', () => {
  const own = createReferenceBackend();
  const x: Arr = f32([2], [1, 2]);
  scope(() => {
    const t = toTensor(x, own);
    const before = own.bytesInUse;
    scope(
      () =>
        ag.intervalAttention(
          ag.reshape(t, [1, 2]),
          ag.reshape(t, [1, 2]),
          ag.reshape(t, [1, 2]),
          {
            lo: tensor(Int32Array.of(0), [1], { backend: own }),
            hi: tensor(Int32Array.of(1), [1], { backend: own }),
            pairs: 1,
          },
          1,
        ) && null,
    );
    expect(own.bytesInUse).toBe(before);
    expect(values(run('neg', [t], {})[0])).toEqual([-1, -2]);
  });
  expect(own.bytesInUse).toBe(0);
});
