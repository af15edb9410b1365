/** @file `gradcheck` passes right gradients, and names the element and both numbers of a wrong one. */
import * as ag from '@blt-ts/autograd';
import { createReferenceBackend, createWasmBackend, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

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
