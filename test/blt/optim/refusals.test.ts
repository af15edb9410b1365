/** @file Optimisers refuse a step before anything is changed, and parameters that they could not train. */
import { type Cotangent, embeddingBag, leaves, reshape, sum, valueAndGrad } from '@blt-ts/autograd';
import {
  ADAMW_DEFAULTS,
  Adam,
  AdamW,
  AdamWWithMuon,
  addGradients,
  type Gradients,
  Muon,
  type ParameterGroup,
  SGD,
} from '@blt-ts/blt/optim';
import { createReferenceBackend, type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript lets through
const any = (x: unknown): any => x;
const part = { prefixes: ['m'], lr: 0.02, iterations: 3 };

interface Optimizer {
  step(gradients: Gradients, lr: number, scaled?: { readonly scale?: Tensor }): void;
}

describe.each<[string, (params: object, groups?: readonly ParameterGroup[]) => Optimizer]>([
  ['SGD', (params, groups) => new SGD(params, {}, groups)],
  ['Adam', (params, groups) => new Adam(params, {}, groups)],
  ['Muon', (params, groups) => new Muon(params, {}, groups)],
  ['AdamW', (params, groups) => new AdamW(params, {}, groups)],
  ['AdamWWithMuon', (params, groups = []) => new AdamWWithMuon(params, ADAMW_DEFAULTS, groups, part, 0.01)],
])('%s', (op, make) => {
  const params = () => ({ a: tensor([1, 2]), m: tensor([[1, 2]]), z: tensor([3]) });
  const grads = () => ({ a: tensor([1, 1]), m: tensor([[1, 1]]), z: tensor([1]) });
  const elsewhere = { backend: createReferenceBackend() };
  const freed = (x: Tensor) => {
    x.dispose();
    return x;
  };

  test.each<[string, () => { z?: Tensor; scale?: Tensor }, string]>([
    [
      'a gradient on another backend',
      () => ({ z: tensor([1], [1], elsewhere) }),
      'the gradient of z lives on reference',
    ],
    ['a gradient that was freed', () => ({ z: freed(tensor([1])) }), 'the gradient of z was freed before the step'],
    ['a gradient of whole numbers', () => ({ z: tensor(Int32Array.of(1)) }), 'the gradient of z must be f32, got i32'],
    ['a scale that is no scalar', () => ({ scale: tensor([[1]]) }), 'scale must be a scalar, got shape [1,1]'],
    ['a scale on another backend', () => ({ scale: tensor(1, [], elsewhere) }), 'scale lives on reference'],
    ['a scale that was freed', () => ({ scale: freed(tensor(1)) }), 'scale was freed before the step'],
  ])('%s changes nothing', (_, wrong, message) => {
    const given = params();
    const optimizer = make(given);
    const { scale, ...rest } = wrong();
    expect(() => optimizer.step({ ...grads(), ...rest }, 0.01, scale && { scale })).toThrow(message);
    expect(leaves(given).flatMap(([, x]) => [...x.readSync()])).toEqual([1, 2, 1, 2, 3]);
    // Nothing of it was used up: the next step is the first.
    optimizer.step(grads(), 0.01);
    const same = params();
    make(same).step(grads(), 0.01);
    expect(given.m.tolist()).toEqual(same.m.tolist());
  });

  test('a parameter that was freed changes nothing', () => {
    const given = params();
    const optimizer = make(given);
    given.z.dispose();
    expect(() => optimizer.step(grads(), 0.01)).toThrow('the parameter z was freed before the step');
    expect([...given.a.readSync(), ...given.m.readSync()]).toEqual([1, 2, 1, 2]);
  });

  test('whole numbers are no parameters', () => {
    expect(() => make({ ...params(), ids: tensor(Int32Array.of(1)) })).toThrow(
      `${op}: ids is i32, and only f32 is trained; leave it out`,
    );
  });

  test('one tensor under two names would be updated twice', () => {
    const { m, ...rest } = params();
    const twice = `${op}: emb and mout are one tensor, which every step would update twice; give it one name`;
    expect(() => make({ ...rest, emb: m, mout: m })).toThrow(twice);
    expect(() => make({ ...rest, emb: m, mout: reshape(m, [2, 1]) })).toThrow(twice);
  });

  test('groups are a list, and gradients no promise', () => {
    expect(() => make(params(), any({ prefix: 'a' }))).toThrow(`${op}: parameter groups are a list such as`);
    expect(() => make(params()).step(Promise.resolve(grads()), 0.01)).toThrow('got a promise: await it first');
  });

  test('the gradients of a tree are used up, the rows of a table too', () => {
    const given = { ...params(), table: tensor([[1], [2], [3]]) };
    const ids = tensor(Int32Array.of(0, 2), [2, 1]);
    const { grads: found } = valueAndGrad((p: typeof given) => sum(embeddingBag(p.table, ids)), { sparse: true })(
      given,
    );
    make(given).step(found, 0.01);
    const { parts } = any(found.table);
    expect([any(found.a).freed, ...parts.map(({ rows }: { rows: Tensor }) => rows.freed)]).toEqual([true, true]);
  });
});

describe('addGradients', () => {
  const map = (entries: Record<string, Tensor>) => new Map<string, Cotangent>(Object.entries(entries));
  test('names the parameter that only one of the two has', () => {
    const message = 'addGradients: b has a gradient in one of the two and none in the other';
    const [one, two] = [map({ a: tensor([1]) }), map({ a: tensor([1]), b: tensor([1]) })];
    expect(() => addGradients(one, two)).toThrow(message);
    expect(() => addGradients(two, one)).toThrow(message);
  });
  test('and the one whose shapes differ, which would broadcast', () => {
    expect(() => addGradients({ a: tensor([1]) }, { a: tensor([1, 2]) })).toThrow(
      'addGradients: the gradients of a have the shapes [1] and [2]; they must have one',
    );
  });
  test('takes trees', () => {
    const found = addGradients({ a: { b: tensor([1, 2]) } }, new Map([['a.b', tensor([3, 4])]]));
    expect([...found].map(([name, g]) => [name, any(g).tolist()])).toEqual([['a.b', [4, 6]]]);
  });
});
