/** @file Gradients and values that would be lost without a word: tensors of others, reads beside the inputs, promises, results that are arguments. */
import * as ag from '@blt-ts/autograd';
import { vmap } from '@blt-ts/autograd/vmap';
import { keep, type Tensor, tensor, zeros } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
const any = (x: unknown): any => x;
const values = (x: Tensor): number[] => [...x.readSync()];

describe('the vjp of an own op may return tensors that it did not make', () => {
  const none = zeros([2]);
  const op = (vjp: ag.OpDefinition<['x', 'w'], object>['vjp']) =>
    ag.defineOp({ name: 'scaled', inputs: ['x', 'w'], forward: ([x, w]) => ag.mul(x, w), vjp });
  test.each<[string, ReturnType<typeof op>, number[]]>([
    ['one that the caller keeps', op(() => [none, null]), [0, 0]],
    ['an input', op((_, { ins: [, w] }) => [w, null]), [3, 4]],
    ['the result', op((_, { out }) => [out, null]), [3, 8]],
    ['the cotangent', op((g) => [g, g]), [1, 1]],
  ])('%s', (_, scaled, want) => {
    const w = tensor([3, 4]);
    const gradient = ag.grad((x: Tensor) => ag.sum(scaled(x, w)));
    for (let time = 0; time < 3; time++) {
      const found = gradient(tensor([1, 2]));
      expect(values(found)).toEqual(want);
      found.dispose();
    }
    expect([...values(w), ...values(none)]).toEqual([3, 4, 0, 0]);
  });
});

describe('an own op that reads a tensor beside its inputs', () => {
  const c = tensor([1, 1]);
  const scaleBy = (s: Tensor) =>
    ag.defineOp({ name: 'scaleBy', inputs: ['x'], forward: ([x]) => ag.mul(x, s), vjp: (g) => [ag.mul(g, s)] });
  const lost = 'scaleBy: its forward reads a tensor [] that is not one of its inputs, so the gradient through it';

  test('has no gradient with respect to that', () => {
    expect(() => ag.grad((s: Tensor) => ag.sum(scaleBy(s)(c)))(tensor(2))).toThrow(lost);
    // Neither by way of an op inside of it.
    const outer = (s: Tensor) => ag.defineOp({ name: 'outer', inputs: ['x'], forward: ([x]) => scaleBy(s)(x) });
    expect(() => ag.grad((s: Tensor) => ag.sum(outer(s)(c)))(tensor(2))).toThrow(lost);
    expect(() => ag.grad((s: Tensor) => ag.recompute(() => ag.sum(scaleBy(s)(c))))(tensor(2))).toThrow(lost);
  });

  test('nor by its numbers', () => {
    const byItem = (s: Tensor) =>
      ag.defineOp({ name: 'byItem', inputs: ['x'], forward: ([x]) => ag.affine(x, s.item()), vjp: (g) => [g] });
    expect(() => ag.grad((s: Tensor) => ag.sum(byItem(s)(c)))(tensor(2))).toThrow('readSync: tensor []');
  });

  test('has one with respect to its inputs, where what it reads beside them is constant', () => {
    const gradient = (s: Tensor) => values(ag.grad((x: Tensor) => ag.sum(scaleBy(s)(x)))(c));
    expect(gradient(tensor(2))).toEqual([2, 2]);
    const cut = ag.grad((s: Tensor) => ag.sum(ag.mul(scaleBy(ag.stopGradient(s))(c), s)));
    expect(cut(tensor(3)).item()).toBe(6);
    // What an op inside reads of the inputs of the op around it is no loss.
    const outer = ag.defineOp({
      name: 'outer',
      inputs: ['x', 's'],
      forward: ([x, s]) => scaleBy(s)(x),
      vjp: (g, { ins: [x, s] }) => [ag.mul(g, s), ag.sum(ag.mul(g, x))],
    });
    expect(
      ag
        .grad((s: Tensor) => ag.sum(outer(c, s)))(tensor(2))
        .item(),
    ).toBe(2);
  });

  test('is called for each example under vmap', () => {
    const want = [2, 2, 3, 3];
    expect(values(vmap((s: Tensor) => scaleBy(s)(c))(tensor([2, 3])))).toEqual(want);
    expect(values(vmap((s: Tensor) => scaleBy(ag.stopGradient(s))(c))(tensor([2, 3])))).toEqual(want);
    const inside = (s: Tensor) =>
      ag.defineOp({ name: 'inside', inputs: ['x'], forward: ([x]) => ag.mul(x, ag.stopGradient(s)) })(c);
    expect(values(vmap(inside)(tensor([2, 3])))).toEqual(want);
  });
});

describe('a tensor that a function under recompute makes and keeps', () => {
  const loss = (use: (y: Tensor) => Tensor) => (q: Tensor) => {
    let y!: Tensor;
    const inner = ag.recompute(() => {
      y = keep(ag.exp(q));
      return ag.sum(y);
    });
    return ag.add(inner, ag.sum(use(y)));
  };
  test('is refused where the gradient through it would be lost', () => {
    expect(() => ag.grad(loss((y) => ag.mul(y, y)))(tensor([0, 1]))).toThrow(
      'tensor [2] was made under recompute and kept beyond it, so the gradient through it would be lost',
    );
  });
  test('may be read as a constant, and where there is no gradient', () => {
    const x = tensor([0, 1]);
    const [one, e] = [1, Math.fround(Math.E)];
    expect(values(ag.grad(loss(ag.stopGradient))(x))).toEqual([one, e]);
    expect(loss((y) => y)(x).item()).toBeCloseTo(2 * (one + e), 5);
  });
});

describe('what is no branch of a tree is refused by its name', () => {
  const w = tensor([1]);
  test.each<[string, unknown, string]>([
    ['a promise', w.read(), 'a promise: await it first'],
    ['a date', new Date(0), 'a Date'],
    ['a regular expression', /x/, 'a RegExp'],
    ['an error', new RangeError('no'), 'a RangeError'],
    ['a buffer', new ArrayBuffer(4), 'a ArrayBuffer'],
    ['a map', new Map([['x', w]]), 'a Map'],
  ])('%s', (_, b, name) => {
    expect(() => ag.saveSafetensors({ w, b: any(b) })).toThrow(`parameters: "b" is ${name}; leaves must be tensors`);
  });

  test('objects of any class are branches, empty ones too', () => {
    class Layer {
      readonly w = w;
      readonly none = new (class None {})();
      readonly bare = Object.assign(Object.create(null), { b: w });
    }
    expect(ag.leaves(new Layer()).map(([name]) => name)).toEqual(['w', 'bare.b']);
  });

  test('a function that is mapped or differentiated has to be synchronous, and its failure ends nothing', async () => {
    const x = tensor([1, 2]);
    const failing = any(async () => {
      throw new Error('later');
    });
    const promise = 'parameters are a promise: await it first';
    expect(() => vmap(failing)(x)).toThrow(promise);
    expect(() => ag.jacobian(failing)(x)).toThrow(promise);
    expect(() => ag.vjp(failing, x, any(x))).toThrow(promise);
    expect(() => ag.jvp(failing, x, x)).toThrow(promise);
    expect(() => ag.grad(failing)(x)).toThrow('grad: the function returned a promise; make it synchronous');
    await new Promise((done) => setImmediate(done));
  });
});

describe('a result is a tensor of its own', () => {
  test('under vmap and jvp too, where the function returns its argument', () => {
    const x = tensor([1, 2]);
    const ids = tensor(Int32Array.of(1, 2));
    const same = (q: Tensor) => q;
    for (const y of [vmap(same)(x), vmap(same)(ids), ag.jvp(same, x, x).value, ag.vjp(same, x, x).value]) {
      expect(values(y)).toEqual([1, 2]);
      y.dispose();
    }
    expect([...values(x), ...values(ids)]).toEqual([1, 2, 1, 2]);
  });

  test('and the text of an example is a value that vmap sees being read', () => {
    const f = (q: Tensor) => ag.affine(q, String(q).includes('7') ? 10 : 1);
    expect(values(vmap(f)(tensor([7, 1])))).toEqual([70, 1]);
    // Under a gradient one may look.
    expect(
      ag
        .grad((q: Tensor) => ag.affine(q, String(q).length > 0 ? 3 : 0))(tensor(1))
        .item(),
    ).toBe(3);
  });
});

test('the largest |x| of nothing is 0', () => {
  const largest = { ord: Number.POSITIVE_INFINITY };
  expect(ag.norm(zeros([0]), largest).item()).toBe(0);
  expect(values(ag.norm(zeros([2, 0]), { ...largest, axes: 1 }))).toEqual([0, 0]);
  expect(values(ag.norm(tensor([[-3, 1]]), { ...largest, axes: 1 }))).toEqual([3]);
});
