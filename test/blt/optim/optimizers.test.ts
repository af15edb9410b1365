/** @file SGD, Adam and Muon over trees: against closed forms and definitions in 64 bits, groups, saved states, refusals. */

import { leaves, matmul, sum, valueAndGrad } from '@blt-ts/autograd';
import { type Arr, floats, relativeDistance, toTensor } from '@blt-ts/autograd/testing';
import { Adam, AdamW, clipFactor, coalesce, type Gradients, Muon, orthogonalize, SGD } from '@blt-ts/blt/optim';
import { createReferenceBackend, scope, type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupOf } from '../../../packages/blt/src/optim/parameter-groups.ts';
import { backends } from '../../support/backends.ts';
import { property } from '../../support/property.ts';

const backend = createReferenceBackend({ precision: 'f64' });
const make = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  tensor(values, shape, { backend });
const numbers = (tree: object): number[] => leaves(tree).flatMap(([, x]) => [...x.readSync()]);
const expectNear = (a: readonly number[], b: readonly number[]) =>
  expect(relativeDistance(Float64Array.from(a), Float64Array.from(b))).toBeLessThan(1e-5);

const rate = fc.integer({ min: 1, max: 30 }).map((i) => i / 64);
const share = fc.constantFrom(0, 0.5, 0.875);
const decay = fc.constantFrom(0, 0.25);

/** One parameter and its gradients, one update after the other, as numbers. */
const histories = fc
  .integer({ min: 1, max: 5 })
  .chain((n) => fc.record({ p: floats([n]), gs: fc.array(floats([n]), { minLength: 1, maxLength: 6 }), lr: rate }));

/** The parameter after all updates. */
function updated(
  make: (params: { a: { w: Tensor } }) => { step(g: Gradients, lr: number): void },
  p: Arr,
  gs: readonly Arr[],
  lr: number,
): number[] {
  return scope(() => {
    const params = { a: { w: toTensor(p, backend) } };
    const optimizer = make(params);
    for (const g of gs) optimizer.step({ a: { w: toTensor(g, backend) } }, lr);
    return numbers(params);
  });
}

describe('SGD', () => {
  property(
    'on c (x - a)^2 / 2 is the closed form a + (1 - lr c)^t (x - a)',
    fc.tuple(floats([3]), floats([3]), rate),
    30,
    ([x, a, lr]) =>
      scope(() => {
        const [c, steps] = [1.5, 7];
        const params = { x: toTensor(x, backend) };
        const sgd = new SGD(params);
        for (let t = 0; t < steps; t++) {
          const g = params.x.readSync().map((v, i) => c * (v - a.values[i]));
          sgd.step({ x: make([...g]) }, lr);
        }
        expectNear(
          numbers(params),
          x.values.map((v, i) => a.values[i] + (1 - lr * c) ** steps * (v - a.values[i])),
        );
        expect(sgd.stepsDone).toBe(steps);
      }),
  );

  property(
    'with momentum, nesterov and weight decay is its definition',
    fc.record({ h: histories, mu: share, wd: decay, nesterov: fc.boolean() }),
    40,
    ({ h: { p, gs, lr }, mu, wd, nesterov }) => {
      const ahead = nesterov && mu > 0;
      const want = p.values.map((x, i) => {
        let [w, b] = [x, 0];
        for (const g of gs) {
          const d = g.values[i] + wd * w;
          b = mu * b + d;
          w -= lr * (ahead ? d + mu * b : b);
        }
        return w;
      });
      expectNear(
        updated((params) => new SGD(params, { momentum: mu, nesterov: ahead, weightDecay: wd }), p, gs, lr),
        want,
      );
    },
  );
});

describe('Adam', () => {
  property(
    'is algorithm 1 of Kingma & Ba in 64 bits',
    fc.record({ h: histories, wd: decay }),
    40,
    ({ h: { p, gs, lr }, wd }) => {
      const [b1, b2, eps] = [0.875, 0.96875, 1e-3];
      const want = p.values.map((x, i) => {
        let [w, m, v] = [x, 0, 0];
        gs.forEach((grads, t) => {
          const g = grads.values[i] + wd * w;
          m = b1 * m + (1 - b1) * g;
          v = b2 * v + (1 - b2) * g * g;
          w -= (lr * (m / (1 - b1 ** (t + 1)))) / (Math.sqrt(v / (1 - b2 ** (t + 1))) + eps);
        });
        return w;
      });
      expectNear(
        updated((params) => new Adam(params, { beta1: b1, beta2: b2, eps, weightDecay: wd }), p, gs, lr),
        want,
      );
    },
  );
});

describe('Muon', () => {
  const matrices = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }))
    .chain((shape) => floats(shape));

  property(
    'orthogonalize keeps the singular vectors: O has the row space of G, and O^T G is symmetric',
    matrices,
    30,
    (G) =>
      scope(() => {
        const g = toTensor(G, backend);
        const S = matmul(orthogonalize(g), g, { transposeA: true });
        const [n] = S.shape;
        const s = [...S.readSync()];
        const scale = Math.max(1, ...s.map(Math.abs));
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) expect(Math.abs(s[i * n + j] - s[j * n + i]) / scale).toBeLessThan(1e-5);
        }
      }),
  );
  test('orthogonalize brings singular values near 1, whatever their size', () => {
    const o = [...orthogonalize(make([100, 0, 0, 0, 60, 0], [2, 3])).readSync()];
    for (const [i, v] of o.entries()) {
      if (i === 0 || i === 4) expect(Math.abs(v - 0.95)).toBeLessThan(0.27);
      else expect(v).toBe(0);
    }
  });
  test('a matrix takes the orthogonal step, vectors and groups with muon: false take AdamW', () => {
    const params = { w: make([1, 0, 0, 1], [2, 2]), table: make([1, 2], [2, 1]), bias: make([1]) };
    const muon = new Muon(params, { adamw: { lrScale: 0.5 } }, [{ prefix: 'table', muon: false }]);
    muon.step({ w: make([3, 0, 0, 3], [2, 2]), table: make([1, -1], [2, 1]), bias: make([2]) }, 0.1);
    const [step] = orthogonalize(make([1, 0, 0, 1], [2, 2])).readSync();
    expectNear([...params.w.readSync()], [1 - 0.1 * step, 0, 0, 1 - 0.1 * step]);
    // The first step of Adam is the sign of the gradient.
    expectNear([...params.table.readSync()], [1 - 0.05, 2 + 0.05]);
    expectNear([...params.bias.readSync()], [1 - 0.05]);
    expect([...muon.state().tensors.keys()].sort()).toEqual(['m.bias', 'm.table', 'momentum.w', 'v.bias', 'v.table']);
  });
  test('tall and wide matrices take transposed steps', () => {
    const [tall, wide] = [{ w: make([1, 2, 3], [3, 1]) }, { w: make([1, 2, 3], [1, 3]) }];
    new Muon(tall).step({ w: make([1, 1, 2], [3, 1]) }, 0.1);
    new Muon(wide).step({ w: make([1, 1, 2], [1, 3]) }, 0.1 * Math.sqrt(3));
    expectNear(numbers(tall), numbers(wide));
  });
});

const kinds = [
  { name: 'SGD', create: (p: object) => new SGD(p, { momentum: 0.5 }) },
  { name: 'Adam', create: (p: object) => new Adam(p) },
  { name: 'Muon', create: (p: object) => new Muon(p) },
];

describe.each(kinds)('$name', ({ name, create }) => {
  const grads = (t: number) => ({ w: make([t, -2, 0.5, 1], [2, 2]), b: make([1 / t]) });
  const fresh = () => ({ w: make([1, 2, 3, 4], [2, 2]), b: make([5]) });

  test('goes on from a saved state with the same bits', () => {
    const [one, other] = [fresh(), fresh()];
    const first = create(one);
    for (let t = 1; t <= 3; t++) first.step(grads(t), 0.1);
    const second = create(other);
    for (let t = 1; t <= 2; t++) second.step(grads(t), 0.1);
    const { step, tensors } = second.state();
    const third = create(other);
    third.restore({ step, tensors: new Map([...tensors].map(([key, x]) => [key, x.readSync() as Float32Array])) });
    third.step(grads(3), 0.1);
    expect(numbers(other)).toEqual(numbers(one));
    expect(third.stepsDone).toBe(3);
    expect(() => third.restore({ step: 0, tensors: new Map() })).toThrow(
      /^optimiser state: \S+ needs \d values, got none$/,
    );
  });

  test('leaves no tensor behind, and refuses a wrong gradient before it changes anything', () => {
    const params = fresh();
    const optimizer = create(params);
    const before = backend.bytesInUse;
    const consumed = grads(1);
    optimizer.step(consumed, 0.1);
    expect(backend.bytesInUse).toBe(before);
    expect(() => consumed.w.readSync()).toThrow(`by the update of ${name}, which consumes the gradients`);
    const g = grads(1);
    const kept = numbers(params);
    expect(() => optimizer.step({ w: g.w }, 0.1)).toThrow(`${name}: no gradient for parameter b`);
    expect(() => optimizer.step({ w: g.w, b: g.w }, 0.1)).toThrow(
      `${name}: the gradient of b has shape [2,2], it must have [1]`,
    );
    expect(() => optimizer.step({ w: g.w, b: make([Number.NaN]) }, 0.1)).toThrow(
      `${name}: the gradient of b is not finite`,
    );
    expect(() => optimizer.step(3 as never, 0.1)).toThrow(`${name}: gradients are the tree that valueAndGrad gives`);
    expect(numbers(params)).toEqual(kept);
    expect(optimizer.stepsDone).toBe(1);
  });

  test('a group has a learning rate of its own; 0 keeps its parameters', () => {
    const params = fresh();
    const groups = [{ prefix: 'b', lrScale: 0 }];
    const optimizer = {
      SGD: new SGD(params, {}, groups),
      Adam: new Adam(params, {}, groups),
      Muon: new Muon(params, {}, groups),
    }[name]!;
    optimizer.step(grads(1), 0.1);
    expect(params.b.item()).toBe(5);
    expect(params.w.readSync()[0]).not.toBe(1);
  });
});

test('AdamW takes the tree of gradients, and a weight decay for each group', () => {
  const params = { w: make([4]), norm: make([4]) };
  const optimizer = new AdamW(params, { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.5 }, [
    { prefix: 'norm', weightDecay: 0 },
  ]);
  optimizer.step({ w: make([1]), norm: make([1]) }, 0.125);
  expectNear(numbers(params), [4 * (1 - 0.0625) - 0.125, 4 - 0.125]);
});

test('sparse gradients of a table are those of the dense one, clipped too', () => {
  const f = (p: { table: Tensor }) => sum(matmul(p.table, p.table, { transposeB: true }));
  const params = { table: make([1, 2, 3, 4], [2, 2]) };
  const { grads } = valueAndGrad(f)(params);
  const { norm, factor } = clipFactor(grads, 1);
  const length = Math.sqrt(numbers(grads).reduce((a, g) => a + g * g, 0));
  expect(norm.item()).toBeCloseTo(length, 4);
  const want = numbers(params).map((p, i) => p - 0.5 * numbers(grads)[i] * (1 / (length + 1e-6)));
  const map = new Map([['table', { ids: Int32Array.of(0, 1), rows: grads.table }]]);
  new SGD(params).step(map, 0.5, { scale: factor });
  expectNear(numbers(params), want);
});

describe.each([
  { name: 'SGD', create: (p: object, lr?: number) => new SGD(p, { lr }) },
  { name: 'Adam', create: (p: object, lr?: number) => new Adam(p, { lr }) },
  { name: 'AdamW', create: (p: object, lr?: number) => new AdamW(p, { lr }) },
  { name: 'Muon', create: (p: object, lr?: number) => new Muon(p, { lr }) },
])('the learning rate of $name', ({ name, create }) => {
  const updated = (lr: number | undefined, ...given: number[]) => {
    const params = { w: make([1, 2, 3, 4], [2, 2]) };
    create(params, lr).step({ w: make([1, -2, 0.5, 1], [2, 2]) }, ...given);
    return numbers(params);
  };
  test('is that of the step, else that of the options', () => {
    expect(updated(0.125)).toEqual(updated(undefined, 0.125));
    expect(updated(7, 0.125)).toEqual(updated(undefined, 0.125));
    expect(updated(0.25)).not.toEqual(updated(0.125));
  });
  test('has to be there, finite and not negative', () => {
    expect(() => updated(undefined)).toThrow(
      `${name}: no learning rate; give one to step(gradients, lr), or the option lr`,
    );
    expect(() => updated(-1)).toThrow(`${name}: the learning rate must be a finite number from 0 on, got -1`);
    expect(() => updated(1, Number.NaN)).toThrow(
      `${name}: the learning rate must be a finite number from 0 on, got NaN`,
    );
  });
});

test('wrong options are refused by name', () => {
  const params = { w: make([1]) };
  expect(() => new AdamW(params, { weight_decay: 1 } as never)).toThrow('AdamW: there is no option weight_decay');
  expect(() => new SGD(params, { momentum: 1 })).toThrow('SGD: momentum must be in [0, 1), got 1');
  expect(() => new SGD(params, { nesterov: true })).toThrow('SGD: nesterov looks ahead along the momentum, which is 0');
  expect(() => new SGD(params, { rate: 1 } as never)).toThrow('rate');
  expect(() => new Adam(params, { beta2: 1 })).toThrow('Adam: beta2 must be in [0, 1), got 1');
  expect(() => new Muon(params, { iterations: 0 })).toThrow('Muon: iterations must be a whole number from 1 on, got 0');
});

describe.each(backends)('on $name', ({ backend: own }) => {
  test('all optimisers bring a least-squares loss down', () => {
    for (const { create } of kinds) {
      const x = tensor([1, 2, 3, 4, 5, 7], [3, 2], { backend: own });
      const params = { w: tensor([0.5, -0.5, 0.25, 1], [2, 2], { backend: own }) };
      const optimizer = create(params);
      const losses: number[] = [];
      for (let t = 0; t < 30; t++) {
        scope(() => {
          const { value, grads } = valueAndGrad((p: typeof params) => {
            const y = matmul(x, p.w);
            return sum(matmul(y, y, { transposeB: true }));
          })(params);
          losses.push(value.item());
          optimizer.step(grads, 0.0005);
        });
      }
      expect(losses[29]).toBeLessThan(losses[0]);
    }
  });
});

test('a number at the end of a prefix is a whole one', () => {
  const names = ['layers.1.w', 'layers.10.w', 'layers.1', 'layers', 'norm', 'norm1'];
  const inGroup = (prefix: string) => names.filter((name) => groupOf([{ prefix, lrScale: 0 }], name).lrScale === 0);
  expect(inGroup('layers.1')).toEqual(['layers.1.w', 'layers.1']);
  expect(inGroup('layers.')).toEqual(['layers.1.w', 'layers.10.w', 'layers.1']);
  expect(inGroup('norm')).toEqual(['norm', 'norm1']);
  expect(inGroup('')).toEqual(names);
});

test('gradients are clipped to a norm above 0', () => {
  const gradients = coalesce(new Map([['w', tensor([3, 4])]]));
  for (const norm of [0, -1, Number.NaN]) {
    expect(() => clipFactor(gradients, norm)).toThrow(`clipFactor: maxNorm must be above 0, got ${norm}`);
  }
});

describe('what would train nothing, or to nonsense, is refused', () => {
  const params = () => ({ w: make([1, 2]) });
  const makers = {
    SGD: (groups: readonly object[]) => new SGD(params(), {}, groups as never),
    Adam: (groups: readonly object[]) => new Adam(params(), {}, groups as never),
    AdamW: (groups: readonly object[]) => new AdamW(params(), {}, groups as never),
    Muon: (groups: readonly object[]) => new Muon(params(), {}, groups as never),
  };

  test.each(Object.entries(makers))('rates of a group that are no rates: %s', (_, makeWith) => {
    for (const wrong of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      expect(() => makeWith([{ prefix: 'w', lrScale: wrong }])).toThrow(`lrScale of the group "w" must be`);
      expect(() => makeWith([{ prefix: 'w', weightDecay: wrong }])).toThrow(`weightDecay of the group "w" must be`);
    }
    expect(() => makeWith([{ prefix: 'w', lr: 0.5 }])).toThrow('there is no option lr');
    expect(() => makeWith([{ lrScale: 0.5 }])).toThrow('prefix of a parameter group');
    makeWith([{ prefix: 'w', lrScale: 0, weightDecay: undefined }]);
  });

  test('the constants of the AdamW inside Muon', () => {
    for (const adamw of [{ beta1: 1 }, { beta2: 2 }, { eps: -1 }, { lrScale: -1 }, { beta1: Number.NaN }]) {
      expect(() => new Muon(params(), { adamw })).toThrow(RangeError);
    }
  });

  test('the pair that clipFactor returns in the place of its factor', () => {
    const optimizers = [new SGD(params(), { lr: 1 }), new AdamW(params(), { lr: 1 })];
    for (const optimizer of optimizers) {
      const gradients = { w: make([3, 4]) };
      const clipped = clipFactor(gradients, 1);
      expect(() => optimizer.step(gradients, 1, clipped as never)).toThrow('there is no option norm');
      expect(optimizer.stepsDone).toBe(0);
    }
  });

  test('no gradients to clip', () => {
    expect(() => clipFactor({}, 1)).toThrow('clipFactor: there are no gradients');
  });

  test('a gradient that the factor of others never saw, where it is not finite', () => {
    const p = { a: make([1]), b: make([1]) };
    for (const optimizer of [new SGD(p), new AdamW(p)]) {
      const a = make([1]);
      const { factor } = clipFactor({ a }, 1);
      expect(() => optimizer.step({ a, b: make([Number.NaN]) }, 1, { scale: factor })).toThrow(
        'the gradient of b is not finite',
      );
      expect(numbers(p)).toEqual([1, 1]);
    }
  });
});

test('a parameter may be called storage', () => {
  const params = { storage: make([1]), other: { storage: make([2]) } };
  new SGD(params).step({ storage: make([1]), other: { storage: make([1]) } }, 0.5);
  expect(numbers(params)).toEqual([0.5, 1.5]);
});
