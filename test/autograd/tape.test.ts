import * as ag from '@blt-ts/autograd';
import { createReferenceBackend, run, scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { type Arr, f32 } from '../support/op-row.ts';
import { toTensor } from '../support/op-run.ts';
import { floats, number } from '../support/op-values.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const scalar = (value: number) => tensor([value], [], { backend });
const values = (x: Tensor) => [...x.readSync()];

describe('the gradient of a tensor used more than once is the sum over its uses', () => {
  property('x + x + x x, whatever x', number, 20, (v) =>
    scope(() => {
      const g = ag.grad((x: Tensor) => ag.add(ag.add(x, x), ag.mul(x, x)))(scalar(v));
      expect(g.item()).toBeCloseTo(2 + 2 * v, 12);
    }),
  );

  /** A program: each step applies an operation to two earlier results, [2,3] each. */
  interface Step {
    op: number;
    a: number;
    b: number;
  }
  const half = (x: Tensor, row: number) => ag.slice(x, [row, 0], [row + 1, 3]);
  const ops: ((a: Tensor, b: Tensor) => Tensor)[] = [
    ag.add,
    ag.sub,
    (a, b) => ag.tanh(ag.mul(a, b)),
    (a) => ag.sin(a),
    (a) => ag.sigmoid(a),
    (a) => ag.softmax(a),
    (a, b) => ag.swiGlu(a, ag.tanh(b)),
    (a, b) => ag.concat([half(a, 1), half(b, 0)]),
    (a, b) => ag.tanh(ag.matmul(ag.matmul(a, b, { transposeB: true }), a)),
    (a) => ag.reshape(ag.transpose(a), [2, 3]),
    (a, b) => ag.add(ag.sum(a, { axes: 0, keepDims: true }), ag.affine(b, 0.5, 0.25)),
    (a) => ag.reshape(ag.reshape(a, [6]), [2, 3]),
    (a, b) => ag.add(ag.stopGradient(a), b),
  ];
  const step: fc.Arbitrary<Step> = fc.record({ op: fc.nat({ max: ops.length - 2 }), a: fc.nat(), b: fc.nat() });
  const interpret = (steps: readonly Step[], xs: readonly Tensor[]): Tensor[] => {
    const made = [...xs];
    for (const { op, a, b } of steps) made.push(ops[op](made[a % made.length], made[b % made.length]));
    return made;
  };
  const programs = fc.tuple(fc.array(step, { minLength: 1, maxLength: 12 }), floats([2, 3]), floats([2, 3]));

  property('programs of up to 12 steps, where results are reused and some never used', programs, 40, ([steps, x, y]) =>
    scope(() => {
      ag.gradcheck((a, b) => interpret(steps, [a, b]).at(-1)!, [toTensor(x, backend), toTensor(y, backend)]);
      ag.gradcheck((a, b) => ag.concat(interpret(steps, [a, b])), [toTensor(x, backend), toTensor(y, backend)]);
    }),
  );

  property('programs leave no tensor behind, forward or backward', programs, 40, ([steps, x, y]) => {
    const own = createReferenceBackend();
    const params = [toTensor(x, own), toTensor(y, own)];
    const before = own.bytesInUse;
    scope(() => {
      const { value, grads } = ag.valueAndGrad((xs: readonly Tensor[]) => ag.sum(ag.concat(interpret(steps, xs))))(
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
      ag.grad((xs: readonly Tensor[]) => ag.sum(ops[ops.length - 1](interpret(steps, xs).at(-1)!, xs[0])))(params);
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
    expect(() => wrong(async () => scalar(1))(scalar(1))).toThrow(`${message}a promise; make it synchronous`);
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
      const refused = 'lerp aliases a tensor that a gradient is being taken through; call it outside';
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

describe('trees', () => {
  const tree: fc.Arbitrary<{ tree: object; names: string[] }> = fc
    .letrec((tie) => ({
      leaf: fc.constant(null),
      node: fc.oneof(
        { maxDepth: 3 },
        tie('leaf'),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('weight', 'bias', 'wq'), tie('node'), { maxKeys: 3 }),
      ),
    }))
    .node.filter((node) => node !== null)
    .map((node) => {
      const names: string[] = [];
      const build = (x: unknown, path: string[]): unknown => {
        if (x === null) {
          names.push(path.join('.'));
          return scalar(names.length);
        }
        if (Array.isArray(x)) return x.map((y, i) => build(y, [...path, String(i)]));
        return Object.fromEntries(Object.entries(x as object).map(([k, y]) => [k, build(y, [...path, k])]));
      };
      return { tree: build(node, []) as object, names };
    });

  property('leaves are named by their path, in order', tree, 30, ({ tree: t, names }) => {
    const found = ag.leaves(t);
    expect(found.map(([name]) => name)).toEqual(names);
    expect(found.map(([, leaf]) => leaf.item())).toEqual(names.map((_, i) => i + 1));
  });
  property('mapTree keeps the form', tree, 30, ({ tree: t }) => {
    const same = ag.mapTree(t, (leaf) => leaf);
    expect(JSON.stringify(same)).toBe(JSON.stringify(t));
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
