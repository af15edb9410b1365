/** @file `valueAndGrad` and `grad`: trees of parameters, aux, and what they refuse. */
import * as ag from '@blt-ts/autograd';
import { scope, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';

const { backend } = reference64;
const scalar = (value: number) => tensor([value], [], { backend });
const values = (x: Tensor) => [...x.readSync()];

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
const any = (x: unknown): any => x;

describe('valueAndGrad', () => {
  const params = () => ({
    layers: [
      { weight: scalar(2), bias: scalar(3) },
      { weight: scalar(5), bias: scalar(7) },
    ],
    unused: tensor([1, 2, 3, 4], [2, 2], { backend }),
  });

  test('gives the gradients as a tree like that of the parameters, zeros for those not used', () => {
    scope(() => {
      const f = (p: ReturnType<typeof params>) =>
        p.layers.reduce((x, l) => ag.add(ag.mul(x, l.weight), l.bias), scalar(11));
      const { value, grads } = ag.valueAndGrad(f)(params());
      // (11 * 2 + 3) * 5 + 7
      expect(value.item()).toBe(132);
      expect(grads.layers.map((l) => [l.weight.item(), l.bias.item()])).toEqual([
        [55, 5],
        [25, 1],
      ]);
      expect(grads.unused.shape).toEqual([2, 2]);
      expect(values(grads.unused)).toEqual([0, 0, 0, 0]);
      expect(grads.unused.backend).toBe(backend);
      expect(values(ag.grad(f)(params()).layers[1].weight)).toEqual([25]);
    });
  });

  test('hands out aux, however nested, alive', () => {
    scope(() => {
      const { aux } = ag.valueAndGrad((x: Tensor) => {
        const y = ag.square(x);
        return { loss: ag.sum(y), aux: { deep: [{ y }], half: ag.affine(y, 0.5), steps: 3, name: 'x' } };
      })(tensor([1, 2], [2], { backend }));
      expect(values(aux.deep[0].y)).toEqual([1, 4]);
      expect(values(aux.half)).toEqual([0.5, 2]);
      expect([aux.steps, aux.name]).toEqual([3, 'x']);
    });
  });

  test('takes one number of any rank, and refuses more, naming the shape', () => {
    scope(() => {
      const x = tensor([3], [1, 1], { backend });
      expect(values(ag.grad((t: Tensor) => ag.square(t))(x))).toEqual([6]);
      const two = tensor([1, 2], [2], { backend });
      expect(() => ag.grad((t: Tensor) => t)(two)).toThrow(
        'grad: the function must return one number, got shape [2]; sum or average it',
      );
    });
  });

  test('refuses a function that returns no tensor, a promise among others', () => {
    const message = 'grad: the function must return a tensor, or { loss, aux }; got ';
    const wrong = (f: () => unknown) => ag.grad(f as () => Tensor);
    expect(() => wrong(() => undefined)(scalar(1))).toThrow(`${message}undefined`);
    expect(() => wrong(() => 3)(scalar(1))).toThrow(`${message}3`);
    expect(() => wrong(() => ({ value: 3 }))(scalar(1))).toThrow(`${message}a plain object`);
    expect(() => wrong(async () => scalar(1))(scalar(1))).toThrow(
      'grad: the function returned a promise; make it synchronous and await the result outside',
    );
  });

  test('the parameter itself, and a constant, are legal losses', () => {
    scope(() => {
      const [identity, constant] = [ag.grad((t: Tensor) => t), ag.grad((_: Tensor) => scalar(4))];
      expect(identity(scalar(4)).item()).toBe(1);
      expect(constant(scalar(4)).item()).toBe(0);
    });
  });

  test('tells a parameter from the same tensor used as a constant', () => {
    scope(() => {
      const x = scalar(3);
      expect(
        ag
          .grad((t: Tensor) => ag.mul(t, x))(x)
          .item(),
      ).toBe(3);
    });
  });

  test('one tensor in two places of the tree gets a gradient for each place', () => {
    scope(() => {
      const x = scalar(3);
      const grads = ag.grad(([a, b]: readonly Tensor[]) => ag.mul(a, ag.square(b)))([x, x]);
      expect(grads.map((g) => g.item())).toEqual([9, 18]);
    });
  });

  test('names a parameter that is no tensor', () => {
    const wrong = { layers: [{ weight: 3 }] };
    expect(() => ag.grad(() => scalar(1))(wrong)).toThrow('parameters: "layers.0.weight" is 3; leaves must be tensors');
    expect(() => ag.grad(() => scalar(1))({ weight: null })).toThrow('parameters: "weight" is null');
  });

  test('refuses in-place kernels on what it differentiates, and allows them on constants', () => {
    scope(() => {
      const [x, other] = [tensor([1, 2], [2], { backend }), tensor([3, 4], [2], { backend })];
      const lerp = (target: Tensor) => ag.applyAll('lerp', [target, other], { weight: 1 });
      const product = (update: (t: Tensor) => void) => (t: Tensor) => {
        const y = ag.mul(t, other);
        update(t);
        return ag.sum(y);
      };
      const refused = 'lerp overwrites a tensor that a gradient is being taken through; call it outside';
      expect(() => ag.grad(product((t) => lerp(t)))(x)).toThrow(refused);
      expect(() => ag.grad(product((t) => lerp(ag.reshape(t, [2]))))(x)).toThrow(refused);
      expect(() => ag.grad(product(() => lerp(x)))(x)).toThrow(refused);
      expect(() => ag.grad(product(() => lerp(other)))(x)).toThrow(refused);
      expect(values(x)).toEqual([1, 2]);
      const constant = tensor([0, 0], [2], { backend });
      expect(values(ag.grad(product(() => lerp(constant)))(x))).toEqual([3, 4]);
      expect(values(constant)).toEqual([3, 4]);
    });
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
  says(() => ag.div(1, any(null)), 'div: the second operand must be a tensor, got null');
  says(() => ag.mul(any([1]), x), 'mul: the first operand must be a tensor, got an array');
  says(() => ag.sum(any(3)), 'sum: x must be a tensor, got 3');
  says(
    () => ag.grad(() => x)(any({ w: { storage: x.storage, shape: [1], freed: false } })),
    'parameters: "w" is a tensor of another copy of @blt-ts/tensor: two are loaded, and `npm ls @blt-ts/tensor` shows where; leaves must be tensors',
  );
});
