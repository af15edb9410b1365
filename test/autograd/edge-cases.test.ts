/** @file Edges of the library: names of strangers' files, infinities, shared results, options left undefined. */
import {
  add,
  affine,
  allclose,
  argmax,
  conv1d,
  defineOp,
  flatten,
  flip,
  gather,
  gatherRows,
  grad,
  gradcheck,
  layerNorm,
  leaves,
  loadSafetensors,
  matmul,
  maxPool1d,
  mean,
  meanSquaredError,
  mul,
  pad,
  pow,
  randomUniform,
  recompute,
  saveSafetensors,
  scatterAdd,
  split,
  stridedSlice,
  sum,
  tile,
  topk,
  treeFromNames,
  treeMap,
  valueAndGrad,
  variance,
} from '@blt-ts/autograd';
import { vmap } from '@blt-ts/autograd/vmap';
import {
  createReferenceBackend,
  createWasmBackend,
  full,
  keep,
  ones,
  Random,
  ShapeError,
  type Tensor,
  tensor,
  writeSafetensors,
  zeros,
} from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const one = { dtype: 'F32', shape: [1], data: Float32Array.of(1) } as const;

describe('names of a tree', () => {
  test('are ordinary names, whatever they are in JavaScript', () => {
    for (const name of ['__proto__.polluted', 'constructor.prototype.polluted', '__proto__', 'constructor.weight']) {
      const tree = loadSafetensors(writeSafetensors([[name, one]]));
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      let at: unknown = tree;
      for (const key of name.split('.')) at = Object.getOwnPropertyDescriptor(at, key)?.value;
      expect((at as Tensor).tolist()).toEqual([1]);
    }
    const leaf = { leaf: { weight: tensor([2]) } };
    expect(loadSafetensors<typeof leaf>(saveSafetensors(leaf)).leaf.weight.tolist()).toEqual([2]);
    expect(treeFromNames([['0', 'a'], ['1.x', 'b']])).toEqual(['a', { x: 'b' }]); // biome-ignore format: one line
    expect(treeFromNames([['1', 'a'], ['2', 'b']])).toEqual({ 1: 'a', 2: 'b' }); // biome-ignore format: one line
  });

  test.each([[['w', 'w.absmax']], [['w.absmax', 'w']], [['w', 'w']]])('%j are no tree', (names) => {
    expect(() => treeFromNames(names.map((name) => [name, 0]))).toThrow(/^"w[.a-z]*" and another name are no tree/);
  });
});

test('positions that a kernel made are taken where they are in range, whatever else they might have been', () => {
  const { indices } = topk(tensor([5, 1, 2, 3, 4]), 1);
  expect(gatherRows(tensor([[10], [20], [30]]), indices).tolist()).toEqual([[10]]);
  const { indices: last } = topk(tensor([1, 2, 3, 4, 5]), 1);
  expect(() => gatherRows(tensor([[10], [20], [30]]), last)).toThrow(/id 4 at position 0 is outside 0..2/);
});

test('an infinity is close to itself alone', () => {
  const [one, big] = [tensor([1]), tensor([Number.POSITIVE_INFINITY])];
  expect([allclose(one, big), allclose(big, one), allclose(big, affine(big, -1)), allclose(big, big)]).toEqual([
    false,
    false,
    false,
    true,
  ]);
  expect(allclose(tensor([1]), tensor([1.000001]))).toBe(true);
});

test('a gradient of two parameters may be changed for one of them', () => {
  const params = { a: tensor([1, 2]), b: tensor([3, 4]), c: tensor([[5, 6]]) };
  const { grads } = valueAndGrad(({ a, b, c }: typeof params) => sum(add(add(a, b), flatten(c))))(params);
  grads.a.assign([9, 9]);
  expect([grads.b.tolist(), grads.c.tolist()]).toEqual([[1, 1], [[1, 1]]]);
});

test('an option left undefined is the default', () => {
  for (const x of [
    [1, 2, 3, 4],
    [1, 2, 3, 4, 5],
  ]) {
    expect(maxPool1d(tensor(x, [1, 1, x.length]), 2, { stride: undefined }).tolist()).toEqual([[[2, 4]]]);
  }
});

describe('pow', () => {
  test('has the gradient of a negative power where its square has left the range', () => {
    const slope = (x: number, n: number) => grad((x: Tensor) => sum(pow(x, n)))(tensor([x])).item();
    for (const x of [0.02, 100]) expect(slope(x, -12) / (-12 * x ** -13)).toBeCloseTo(1, 4);
    expect(slope(0, -2)).toBe(Number.NEGATIVE_INFINITY);
  });

  test('has a second derivative at 0', () => {
    const inner = (a: Tensor) => grad((b: Tensor) => sum(pow(a, b)))(tensor([2]));
    expect(grad((a: Tensor) => sum(inner(a)))(tensor([0])).item()).toBeCloseTo(0);
  });
});

test('what was computed and then overwritten is noticed', () => {
  const changed = (x: Tensor) => {
    const y = add(x, 0);
    y.assign([5]);
    return mul(y, 2);
  };
  expect(vmap(changed)(tensor([[1], [2]])).tolist()).toEqual([[10], [10]]);
  expect(() => grad((x: Tensor) => sum(changed(x)))(tensor([1]))).toThrow(/^assign: tensor \[1\] depends on what/);
});

test('gradcheck takes functions that make tensors when they are run again', () => {
  expect(gradcheck((x) => recompute(() => mul(x, tensor([2, 3]))), [tensor([1, 2])])).toBeLessThan(1e-6);
  const scaled = defineOp<['x'], { s: number }>({
    ...{ name: 'scaled', inputs: ['x'], forward: ([x], { s }) => mul(x, s) },
    vjp: (g, { attrs: { s } }) => [mul(g, tensor([s]))],
  });
  expect(gradcheck((x) => scaled(x, { s: 3 }), [tensor([1, 2])])).toBeLessThan(1e-6);
  const slope = grad((x: Tensor) => {
    const attrs = { s: 2 };
    const y = scaled(x, attrs);
    attrs.s = 100;
    return sum(y);
  });
  expect(slope(tensor([1])).item()).toBe(2);
});

test('a tree of 64-bit tensors is saved as 32-bit floats', () => {
  const w = tensor([0.1], undefined, { backend: createReferenceBackend({ precision: 'f64' }) });
  expect(loadSafetensors<{ w: Tensor }>(saveSafetensors({ w })).w.item()).toBe(Math.fround(0.1));
});

test.each<[string, (x: Tensor) => Tensor]>([
  ['tile', (x) => tile(x, [1, 1])],
  ['flip', (x) => flip(x, [])],
  ['pow', (x) => pow(x, 1)],
  ['pad', (x) => pad(x, [0, 0], [0, 0], { mode: 'edge' })],
])('%s of nothing to do is a tensor of its own', (_, f) => {
  const x = tensor([[1, 2]]);
  f(x).dispose();
  expect(x.tolist()).toEqual([[1, 2]]);
});

test('what cannot be is refused by name', () => {
  expect(() => pad(tensor(1, []), [1], [1], { mode: 'edge' })).toThrow(/^pad: bounds \[1\] and \[1\] do not fit/);
  const x = tensor([[1, 2]]);
  // biome-ignore lint/suspicious/noExplicitAny: options that TypeScript refuses
  const wrong = { in_axes: 1 } as any;
  expect(() => vmap((x: Tensor) => x, wrong)).toThrow(/^vmap: there is no option in_axes/);
  expect(() => loadSafetensors(saveSafetensors({ x }), { ...wrong })).toThrow(/^loadSafetensors: there is no option/);
  expect(() => flatten(tensor([[[1]]]), 2, 1)).toThrow(/^flatten: axis 2 comes after axis 1/);
  for (const parts of [1.5, -1]) expect(() => split(tensor([1, 2, 3]), parts)).toThrow(ShapeError);
  const random = new Random(1);
  expect(() => randomUniform(random, [1], 0, Number.POSITIVE_INFINITY)).toThrow(/^randomUniform: 0 to Infinity/);
  expect(() => randomUniform(random, [1], 0.1, 0.1 + 1e-9)).toThrow(/cannot be drawn from/);
});

test('the largest of more than 2^24 elements is refused, because its place is computed in 32 bits', () => {
  const backend = createReferenceBackend();
  expect(() => argmax(tensor(new Float32Array(2 ** 24 + 2), undefined, { backend }))).toThrow(/exact up to 2\^24/);
});

describe('what lost values silently', () => {
  test('a function under recompute returns one tensor, because the gradient of others was 0', () => {
    const many = (x: Tensor) => recompute(() => ({ h: mul(x, x) }) as never);
    expect(() => grad((x: Tensor) => sum((many(x) as unknown as { h: Tensor }).h))(tensor([2]))).toThrow(
      'recompute: the result of f must be a tensor',
    );
  });

  test('a constant is its own mean, on every backend and for every length', () => {
    for (const backend of [createReferenceBackend(), createWasmBackend()]) {
      for (let n = 1; n < 300; n++) {
        const x = full([2, n], 1, { backend });
        expect(mean(x, { axes: 1 }).tolist()).toEqual([1, 1]);
        expect(meanSquaredError(x, full([2, n], 3, { backend })).item()).toBe(4);
      }
      expect([...layerNorm(full([1, 41], 1e6, { backend })).readSync()]).toEqual(new Array(41).fill(0));
      const g = grad((x: Tensor) => sum(variance(x)))(full([1, 41], 3, { backend }));
      expect([...g.readSync()]).toEqual(new Array(41).fill(0));
    }
    expect(mean(zeros([0])).item()).toBeNaN();
  });

  test('maps and sets are no trees', () => {
    for (const tree of [new Map([['w', tensor([1])]]), new Set([tensor([1])])]) {
      expect(() => saveSafetensors(tree)).toThrow(/parameters are a (Map|Set); leaves must be tensors/);
      expect(() => treeMap((x) => x, { a: tree })).toThrow(/"a" is a (Map|Set)/);
    }
  });

  test('two tensors of one name are no tree', () => {
    const tree = { 'a.b': tensor([2]), a: { b: tensor([3]) } };
    expect(() => leaves(tree)).toThrow('two tensors are called "a.b"');
    expect(() => treeMap((x, y) => add(x, y), tree, tree)).toThrow('two tensors are called "a.b"');
  });

  test('ids are i32 on every axis', () => {
    const x = tensor([[1, 2], [3, 4]]); // biome-ignore format: one line
    for (const axis of [0, 1]) {
      expect(() => gather(x, tensor([[0.7, 1.9]]), axis)).toThrow('i32');
      expect(() => scatterAdd(tensor([[1, 2]]), tensor([[0.7, 1]]), 2, axis)).toThrow('i32');
    }
  });

  test('powers of 1, and of -1 to infinity, are 1; by a negative base there is no gradient', () => {
    const infinite = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const b of infinite) expect(pow(tensor([1, -1]), tensor([b, b])).tolist()).toEqual([1, 1]);
    expect(pow(1, tensor([Number.NaN, ...infinite])).tolist()).toEqual([1, 1, 1]);
    expect(pow(tensor([2, 0.5, -2]), tensor([infinite[0], infinite[0], infinite[0]])).tolist()).toEqual([
      infinite[0],
      0,
      infinite[0],
    ]);
    const byExponent = (a: number) => grad((b: Tensor) => sum(pow(tensor([a]), b)))(tensor([2])).readSync()[0];
    expect([byExponent(-2), byExponent(0), byExponent(2)]).toEqual([Number.NaN, 0, expect.closeTo(4 * Math.LN2, 5)]);
  });
});

describe('errors name what they are about', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['a kernel without elements', () => conv1d(ones([1, 1, 3]), ones([1, 1, 0])), /conv1d: a window \[0\]/],
    [
      'a bias of another size',
      () => conv1d(ones([1, 1, 3]), ones([2, 1, 1]), { bias: ones([3]) }),
      /conv1d: bias \[3\] must be \[2\]/,
    ],
    [
      'a bias that is a number',
      () => conv1d(ones([1, 1, 3]), ones([2, 1, 1]), { bias: 3 as never }),
      /conv1d: bias must be a tensor, got 3/,
    ],
    ['bounds between places', () => stridedSlice(ones([5]), [0.5], [3.5], [2]), /bounds 0.5:3.5/],
    ['a bound that is NaN', () => stridedSlice(ones([5]), [Number.NaN], [3], [2]), /bounds NaN:3/],
    ['a product with a matrix', () => matmul(ones([2, 3, 4]), ones([5, 3])), /a \[2,3,4\] x b \[5,3\]: 4 != 5/],
    [
      'a product with a transposed matrix',
      () => matmul(ones([2, 3, 4]), ones([5, 3]), { transposeB: true }),
      /a \[2,3,4\] x b \[5,3\]\^T: 4 != 3/,
    ],
    ['what is kept', () => keep({ w: ones([1]) } as never), /keep must be a tensor, got a plain object/],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
