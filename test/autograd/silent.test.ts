/** @file Gradients that used to be wrong without a word. */
import * as ag from '@blt-ts/autograd';
import { createReferenceBackend, createWasmBackend, run, scope, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
const any = (x: unknown): any => x;
const { NaN: nan, NEGATIVE_INFINITY: minus } = Number;

describe.each(backends)('on $name', ({ backend }) => {
  const vector = (...values: number[]) => tensor(values, [values.length], { backend });
  const gradientOf = (f: (x: Tensor) => Tensor, ...at: number[]) =>
    scope(() => [
      ...ag
        .grad((x: Tensor) => ag.sum(f(x)))(vector(...at))
        .readSync(),
    ]);
  const valuesOf = (f: (x: Tensor) => Tensor, ...at: number[]) => scope(() => [...f(vector(...at)).readSync()]);

  test('the gradient of relu is 0 at 0 and NaN at NaN', () => {
    expect(valuesOf(ag.relu, -2, -0, 0, 3, nan, minus, -minus)).toEqual([0, 0, 0, 3, nan, 0, -minus]);
    expect(gradientOf(ag.relu, -2, 0, -0, 3, nan)).toEqual([0, 0, 0, 1, nan]);
  });

  test('the gradient of a maximum or minimum of NaN is NaN, of a segment with NaN too', () => {
    for (const f of [ag.maximum, ag.minimum]) {
      expect(gradientOf((x) => f(x, 1), nan)).toEqual([nan]);
      expect(gradientOf((x) => f(1, x), nan, 1)).toEqual([nan, 0.5]);
    }
    const starts = () => tensor(Int32Array.of(0, 2, 4), undefined, { backend });
    const segments = (x: Tensor) => ag.segmentMax(ag.reshape(x, [4, 1]), starts());
    expect(gradientOf(segments, 1, 2, nan, 1)).toEqual([0, 1, nan, nan]);
    expect(gradientOf((x) => ag.max(x), 1, nan)).toEqual([nan, nan]);
  });

  test('sigmoid and silu vanish far below 0', () => {
    expect(valuesOf(ag.sigmoid, minus, -3e38, -1000, 1000, -minus, nan)).toEqual([0, 0, 0, 1, 1, nan]);
    // Each length of the vector code's ends.
    for (let n = 1; n <= 17; n++) {
      const at = new Array<number>(n).fill(-3e38);
      expect(valuesOf(ag.silu, ...at)).toEqual(at.map(() => -0));
      expect(valuesOf((x) => ag.swiGlu(x, ag.affine(x, 0, 1)), ...at)).toEqual(at.map(() => -0));
      expect(gradientOf((x) => ag.swiGlu(x, ag.affine(x, 0, 1)), ...at).map(Math.abs)).toEqual(at.map(() => 0));
    }
    // Down to -88 nothing changes; below, the result would be subnormal.
    for (const x of [-80, -87, -88]) {
      const [y] = valuesOf(ag.sigmoid, x);
      expect(Math.abs(y - 1 / (1 + Math.exp(-x)))).toBeLessThan(1e-5 / (1 + Math.exp(-x)));
    }
    expect(valuesOf(ag.tanh, minus, -0, 0, -minus)).toEqual([-1, -0, 0, 1]);
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
    const weight = (w: Tensor) => ag.sum(ag.square(ag.grad((v: Tensor) => ag.sum(ag.square(ag.rmsNorm(one, v))))(w)));
    expect(() => ag.grad(weight)(x)).toThrow('rmsNorm: no second derivative of the fused kernel');
    expect(ids.size).toBe(1);
  });
});

test('arguments and options that nobody would read', () => {
  const x = tensor([[1, 2]]);
  const says = (f: () => unknown, message: string) => expect(f).toThrow(new TypeError(message));
  const mul = (t: Tensor) => ag.sum(ag.mul(t, t));
  const takes = (op: string) =>
    `${op}: the function it returns takes one tree of parameters, got 2 arguments; put them together: ${op}(([x, y]) => ...)([x, y])`;
  says(() => any(ag.grad(mul))(x, x), takes('grad'));
  says(() => any(ag.valueAndGrad(mul))(x, x), takes('valueAndGrad'));
  says(
    () => ag.valueAndGrad(mul, any({ sparce: true })),
    'valueAndGrad: there is no option sparce, only sparse, rematAboveBytes',
  );
  says(() => ag.sum(x, any({ axis: 0 })), 'sum: there is no option axis, only axes, keepDims');
  says(() => ag.mean(x, any({ dim: 0 })), 'mean: there is no option dim, only axes, keepDims');
  says(() => ag.max(x, any(1)), 'max: options are an object such as { axes: ... }, got 1');
  says(() => ag.matmul(x, x, any({ transB: true })), 'matmul: there is no option transB, only transposeA, transposeB');
  says(
    () => ag.gradcheck(mul, [x], any({ tol: 1 })),
    'gradcheck: there is no option tol, only eps, tolerance, backend',
  );
  says(() => ag.matmul(x, any(undefined)), 'matmul: b must be a tensor, got undefined');
  says(() => ag.div(1, any(null)), 'the second operand must be a tensor, got null');
  says(() => ag.mul(any([1]), x), 'the first operand must be a tensor, got an array');
  says(() => ag.sum(any(3)), 'sum: x must be a tensor, got 3');
  says(
    () => ag.grad(() => x)(any({ w: { storage: x.storage, shape: [1], freed: false } })),
    'parameters: "w" is a tensor of another copy of @blt-ts/tensor: two are loaded, and `npm ls @blt-ts/tensor` shows where; leaves must be tensors',
  );
});

describe('gradcheck on a backend', () => {
  const x = tensor([0.5, -0.25, 2]);
  /** A backend whose tanh is off by 0.1. */
  const broken = () => {
    const backend = createReferenceBackend();
    const { run: right } = backend;
    backend.run = (kernel, outs, ins, attrs) => {
      right(kernel, outs, ins, attrs as never);
      const { handle } = outs[0]?.storage ?? {};
      if (kernel === 'tanh')
        (handle as Float32Array).forEach((y, i, all) => {
          all[i] = y + 0.1;
        });
    };
    return backend;
  };

  test('passes where values and gradients are right', () => {
    expect(ag.gradcheck(ag.tanh, [x], { backend: createWasmBackend() })).toBeLessThan(1e-5);
    expect(
      ag.gradcheck((a, b) => ag.mul(a, ag.add(b, tensor([1]))), [x, x], { backend: createWasmBackend() }),
    ).toBeLessThan(1e-5);
  });

  test('finds a backend whose tanh is off, which the default does not look at', () => {
    expect(ag.gradcheck(ag.tanh, [tensor([0.5], [1], { backend: broken() })])).toBeLessThan(1e-6);
    expect(() => ag.gradcheck(ag.tanh, [x], { backend: broken() })).toThrow(/^gradcheck on reference: weighted result/);
  });
});
