/** @file Making, reading and assigning tensors. */

import { type Arr, floats, product, raggedSize, shapes } from '@blt-ts/autograd/testing';
import {
  createReferenceBackend,
  defaultBackend,
  full,
  type Nested,
  ones,
  referenceBackend,
  run,
  ShapeError,
  scope,
  setDefaultBackend,
  type Tensor,
  tensor,
  zeros,
} from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../support/backends.ts';
import { property } from '../support/property.ts';

const array = shapes(raggedSize).chain((shape) => floats(shape));

/** The values as arrays in arrays. */
function nest({ shape, values }: Pick<Arr, 'shape' | 'values'>): Nested {
  if (shape.length === 0) return values[0];
  const step = product(shape.slice(1));
  return Array.from({ length: shape[0] }, (_, i) =>
    nest({ shape: shape.slice(1), values: values.slice(i * step, (i + 1) * step) }),
  );
}

describe.each(backends)('arithmetic in 32 bits on $name', ({ backend }) => {
  test('what dropout keeps is multiplied by 1 / (1 - rate) as a 32-bit number has it', () => {
    scope(() => {
      const x = Float32Array.from({ length: 200 }, (_, i) => 1 + i / 7);
      const [kept] = run('dropout', [tensor(x, [200], { backend })], { rate: 0.3, seed: 1 });
      const scale = Math.fround(1 / (1 - 0.3));
      const values = [...kept.readSync()];
      expect(values.filter((y) => y !== 0).length).toBeGreaterThan(100);
      values.forEach((y, i) => {
        if (y !== 0) expect(y).toBe(Math.fround(x[i] * scale));
      });
    });
  });
});

describe.each(backends)('making tensors on $name', ({ backend }) => {
  property('flat values and a shape come back as they went in', array, 40, (x) =>
    scope(() => {
      const t = tensor(x.values, x.shape, { backend });
      expect(t.shape).toEqual(x.shape);
      expect([t.size, t.rank, t.dtype]).toEqual([x.values.length, x.shape.length, 'f32']);
      expect(t.backend).toBe(backend);
      expect([...t.readSync()]).toEqual(x.values);
    }),
  );
  property('nested arrays give their shape themselves', array, 40, (x) =>
    scope(() => {
      // An empty axis hides the sizes after it.
      if (x.values.length === 0) return;
      const t = tensor(nest(x), undefined, { backend });
      expect(t.shape).toEqual(x.shape);
      expect([...t.readSync()]).toEqual(x.values);
    }),
  );
  test('typed arrays: Int32Array makes i32, the others f32, of one axis unless a shape is given', () => {
    scope(() => {
      const ints = tensor(Int32Array.of(1, -(2 ** 31), 2 ** 31 - 1), undefined, { backend });
      expect([ints.dtype, ints.shape]).toEqual(['i32', [3]]);
      expect(ints.readSync()).toEqual(Int32Array.of(1, -(2 ** 31), 2 ** 31 - 1));
      const doubles = tensor(Float64Array.of(0.5, 0.1), [2, 1], { backend });
      expect([doubles.dtype, doubles.shape]).toEqual(['f32', [2, 1]]);
      expect([...doubles.readSync()]).toEqual([0.5, Math.fround(0.1)]);
      expect(tensor([1, 2], [2], { dtype: 'i32', backend }).dtype).toBe('i32');
    });
  });
  test('a number is a scalar; empty arrays are legal', () => {
    scope(() => {
      expect(tensor(3, undefined, { backend }).shape).toEqual([]);
      expect(tensor(3, [1, 1], { backend }).shape).toEqual([1, 1]);
      expect(tensor([], undefined, { backend }).shape).toEqual([0]);
      expect(tensor([[], []], undefined, { backend }).shape).toEqual([2, 0]);
    });
  });
  test('full, zeros, ones; full keeps integers that no 32-bit float holds', () => {
    scope(() => {
      expect([...full([2, 2], 0.1, { backend }).readSync()]).toEqual(new Array(4).fill(Math.fround(0.1)));
      expect([...zeros([3], { backend }).readSync()]).toEqual([0, 0, 0]);
      expect([...ones([], { backend }).readSync()]).toEqual([1]);
      expect([...full([1], 16_777_217, { dtype: 'i32', backend }).readSync()]).toEqual([16_777_217]);
    });
  });
  test('reading gives a copy, at once or by a promise; item wants one element', async () => {
    const t = tensor([1, 2], [2], { backend });
    const values = t.readSync();
    values[0] = 9;
    (await t.read())[1] = 9;
    expect([...(await t.read())]).toEqual([1, 2]);
    expect(tensor([[7]], undefined, { backend }).item()).toBe(7);
    expect(() => t.item()).toThrow(new ShapeError('item: needs one element, [2] has 2'));
    expect(() => tensor([], undefined, { backend }).item()).toThrow('item: needs one element, [0] has 0');
  });
  test('assign overwrites in place, and shows in every reshape of the same memory', () => {
    scope(() => {
      const t = tensor([1, 2], [2], { backend });
      const [same] = run('reshape', [t], { shape: [2, 1] });
      t.assign([3, 4]);
      expect([...same.readSync()]).toEqual([3, 4]);
      expect(() => t.assign([1])).toThrow(new ShapeError('assign: 1 values for [2], which holds 2'));
    });
  });
});

describe('what tensor refuses', () => {
  const refused: [string, () => Tensor, string][] = [
    ['too few values', () => tensor([1, 2], [3]), 'tensor: 2 values for shape [3], which holds 3'],
    ['a number for several elements', () => tensor(1, [2]), 'tensor: 1 values for shape [2], which holds 2'],
    ['a negative size', () => tensor([], [-1]), 'tensor: shape [-1] has size -1; sizes are whole numbers >= 0'],
    ['a fractional size', () => zeros([2, 1.5]), 'full: shape [2,1.5] has size 1.5; sizes are whole numbers >= 0'],
    ['NaN', () => zeros([Number.NaN]), 'full: shape [NaN] has size NaN; sizes are whole numbers >= 0'],
    ['ragged rows', () => tensor([[1, 2], [3]]), 'tensor: rows of unequal length on axis 1: 2 and 1'],
    ['an empty row among others', () => tensor([[], [3]]), 'tensor: rows of unequal length on axis 1: 0 and 1'],
    ['a number beside a row', () => tensor([1, [2]]), 'tensor: nested arrays of unequal depth'],
    ['a row beside a number', () => tensor([[1], 2]), 'tensor: nested arrays of unequal depth'],
    ['a row too deep', () => tensor([[1], [[2]]]), 'tensor: nested arrays of unequal depth'],
    [
      'nested values with another shape',
      () =>
        tensor(
          [
            [1, 2],
            [3, 4],
          ] as never,
          [2],
        ),
      'tensor: nested values have shape [2,2], not [2]',
    ],
  ];
  test.each(refused)('%s', (_, make, message) => {
    expect(make).toThrow(new ShapeError(message));
  });
});

test('nested values with their own shape are legal', () => {
  expect([
    ...tensor(
      [
        [1, 2],
        [3, 4],
      ],
      [2, 2],
    ).readSync(),
  ]).toEqual([1, 2, 3, 4]);
});

test('setDefaultBackend decides where new tensors live, and gives back the one before', () => {
  const other = createReferenceBackend();
  setDefaultBackend(null);
  expect(setDefaultBackend(other)).toBe(null);
  expect(setDefaultBackend(null)).toBe(other);
  expect(defaultBackend()).toBe(referenceBackend);
  setDefaultBackend(other);
  try {
    expect(defaultBackend()).toBe(other);
    expect(zeros([1]).backend).toBe(other);
    expect(zeros([1], { backend: referenceBackend }).backend).toBe(referenceBackend);
  } finally {
    expect(setDefaultBackend(referenceBackend)).toBe(other);
  }
});

test('results live where their inputs do, whatever the default is', () => {
  const other = createReferenceBackend();
  expect(run('neg', [tensor([1], [1], { backend: other })], {})[0].backend).toBe(other);
});

test('a new backend uses no memory, and counts what its tensors hold', () => {
  const own = createReferenceBackend();
  expect(own.bytesInUse).toBe(0);
  zeros([3], { backend: own });
  tensor(Int32Array.of(1, 2), [2], { backend: own });
  expect(own.bytesInUse).toBe(20);
});

test('the 64-bit reference keeps 64 bits', () => {
  const double = createReferenceBackend({ precision: 'f64' });
  expect(tensor([0.1], [1], { backend: double }).readSync()[0]).toBe(0.1);
  expect(full([], 0.1, { backend: double }).item()).toBe(0.1);
  expect(run('affine', [ones([1], { backend: double })], { scale: 0.1, shift: 0.2 })[0].item()).toBe(0.1 + 0.2);
});

describe.each(backends)('a part of the values, on $name', ({ backend }) => {
  test('is that part of the whole, of floats and of whole numbers', () => {
    for (const values of [Float32Array.of(1.5, 2, 3, 4, 5, 6), Int32Array.of(1, 2, 3, 4, 5, 6)]) {
      const t = tensor(values, [2, 3], { backend });
      expect(t.readSync(2, 5)).toEqual(values.slice(2, 5));
      expect(t.readSync(4)).toEqual(values.slice(4));
      expect(t.readSync(6, 6).length).toBe(0);
      expect(t.readSync()).toEqual(values);
    }
  });

  test('is refused where there are no such values', () => {
    const t = tensor([1, 2, 3], [3], { backend });
    for (const [from, to] of [
      [-1, 2],
      [2, 1],
      [0, 4],
      [0.5, 2],
      [Number.NaN, 2],
    ]) {
      expect(() => t.readSync(from, to)).toThrow(`readSync: there are no values ${from} to ${to} in a tensor of 3`);
    }
  });
});
