/** @file Gradients of whole programs: results used more than once, gradients of gradients. */

import * as ag from '@blt-ts/autograd';
import { interpret, number, programs, toTensor } from '@blt-ts/autograd/testing';
import { createReferenceBackend, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const scalar = (value: number) => tensor([value], [], { backend });

describe('the gradient of a tensor used more than once is the sum over its uses', () => {
  property('x + x + x x, whatever x', number, 20, (v) =>
    scope(() => {
      const g = ag.grad((x: Tensor) => ag.add(ag.add(x, x), ag.mul(x, x)))(scalar(v));
      expect(g.item()).toBeCloseTo(2 + 2 * v, 12);
    }),
  );

  property('programs of up to 12 steps, where results are reused and some never used', programs(), 40, (program) =>
    scope(() => {
      const inputs = () => [toTensor(program.x, backend), toTensor(program.y, backend)];
      // The quotient's error grows with the third derivative, which products of a value with itself make large, and with eps squared.
      ag.gradcheck((a, b) => interpret(program, [a, b]).at(-1)!, inputs(), { eps: 3e-6 });
      ag.gradcheck((a, b) => ag.concat(interpret(program, [a, b])), inputs(), { eps: 3e-6 });
    }),
  );

  property('programs leave no tensor behind, forward or backward', programs(), 40, (program) => {
    const own = createReferenceBackend();
    const params = [toTensor(program.x, own), toTensor(program.y, own)];
    const before = own.bytesInUse;
    scope(() => {
      const { value, grads } = ag.valueAndGrad((xs: readonly Tensor[]) => ag.sum(ag.concat(interpret(program, xs))))(
        params,
      );
      expect(own.bytesInUse - before, 'what valueAndGrad keeps: the value and the gradients').toBeLessThanOrEqual(
        4 * (1 + 12),
      );
      expect([value, ...grads].every((t) => !t.freed)).toBe(true);
    });
    expect(own.bytesInUse).toBe(before);
    // A last operation, whose gradient does not flow to one operand, changes nothing.
    scope(() => {
      ag.grad((xs: readonly Tensor[]) => ag.sum(ag.add(ag.stopGradient(interpret(program, xs).at(-1)!), xs[0])))(
        params,
      );
    });
    expect(own.bytesInUse).toBe(before);
  });
});

describe('gradients of gradients', () => {
  property('perturbations are not confused: d/dx (x d/dy (x y) at y = x) = 2 x', number, 20, (v) =>
    scope(() => {
      const f = (x: Tensor) => ag.mul(x, ag.grad((y: Tensor) => ag.mul(x, y))(x));
      expect(ag.grad(f)(scalar(v)).item()).toBeCloseTo(2 * v, 12);
    }),
  );
  test('an inner gradient sees the outer variable as a constant: d/dx (d/dy x y at y = 2) = 1', () => {
    scope(() => {
      const f = (x: Tensor) => ag.grad((y: Tensor) => ag.mul(x, y))(scalar(2));
      expect(ag.grad(f)(scalar(5)).item()).toBe(1);
    });
  });
  property('d^3 x^4 = 24 x', number, 10, (v) =>
    scope(() => {
      const f = (x: Tensor) => ag.square(ag.square(x));
      expect(
        ag
          .grad(ag.grad(ag.grad(f)))(scalar(v))
          .item(),
      ).toBeCloseTo(24 * v, 9);
    }),
  );
  test('value, gradient and what was handed out of an inner valueAndGrad stay differentiable', () => {
    scope(() => {
      // y^3 + 3 y^2 + y^2 at y = x: derivative 3 x^2 + 6 x + 2 x
      const f = (x: Tensor) => {
        const inner = ag.valueAndGrad((y: Tensor) => ({
          loss: ag.mul(y, ag.square(y)),
          aux: { square: ag.square(y) },
        }))(x);
        return ag.add(inner.value, ag.add(inner.grads, inner.aux.square));
      };
      expect(ag.grad(f)(scalar(2)).item()).toBeCloseTo(12 + 12 + 4, 12);
    });
  });
  test('a failed inner gradient leaves no tape open', () => {
    scope(() => {
      const x = scalar(3);
      const f = (y: Tensor) => {
        expect(() => ag.grad((z: Tensor) => ag.reshape(z, [7]))(y)).toThrow('reshape');
        return ag.square(y);
      };
      expect(ag.grad(f)(x).item()).toBe(6);
      expect(
        ag
          .grad(ag.grad((y: Tensor) => ag.square(y)))(x)
          .item(),
      ).toBe(2);
    });
  });
});
