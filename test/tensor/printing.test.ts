/** @file Tensors as text. */
import { inspect } from 'node:util';
import { tensor, zeros } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const print = (...args: Parameters<typeof tensor>) => String(tensor(...args));

describe('a tensor prints its dtype, shape and values', () => {
  test('a scalar, a row, a matrix', () => {
    expect(print(3)).toBe('Tensor(f32 []) 3.0000');
    expect(print([1, -2.5])).toBe('Tensor(f32 [2]) [1.0000, -2.5000]');
    expect(
      print([
        [1, 2],
        [3, 4],
      ]),
    ).toBe('Tensor(f32 [2,2]) [[1.0000, 2.0000],\n [3.0000, 4.0000]]');
  });
  test('deeper axes are indented by their depth', () => {
    expect(
      print([
        [[1], [2]],
        [[3], [4]],
      ]),
    ).toBe('Tensor(f32 [2,2,1]) [[[1.0000],\n  [2.0000]],\n [[3.0000],\n  [4.0000]]]');
  });
  test('integers without decimals', () => {
    expect(print(Int32Array.of(1, -200000))).toBe('Tensor(i32 [2]) [1, -200000]');
  });
  test('very small, very large and no numbers', () => {
    const values = [
      0,
      0.001,
      0.0009,
      99999,
      100000,
      -1e-7,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ];
    const printed = values.map((v) => print(v).slice('Tensor(f32 []) '.length));
    expect(printed).toEqual([
      '0.0000',
      '0.0010',
      '9.000e-4',
      '99999.0000',
      '1.000e+5',
      '-1.000e-7',
      'NaN',
      'Infinity',
      '-Infinity',
    ]);
  });
  test('axes up to 6 are whole; longer ones show the first and last three', () => {
    const ints = (n: number) => Int32Array.from({ length: n }, (_, i) => i);
    expect(print(ints(6))).toBe('Tensor(i32 [6]) [0, 1, 2, 3, 4, 5]');
    expect(print(ints(7))).toBe('Tensor(i32 [7]) [0, 1, 2, ..., 4, 5, 6]');
    expect(print(ints(100))).toBe('Tensor(i32 [100]) [0, 1, 2, ..., 97, 98, 99]');
    expect(print(ints(14), [7, 2])).toBe(
      'Tensor(i32 [7,2]) [[0, 1],\n [2, 3],\n [4, 5],\n ...,\n [8, 9],\n [10, 11],\n [12, 13]]',
    );
  });
  test('nothing to show', () => {
    expect(print([])).toBe('Tensor(f32 [0]) []');
    expect(String(zeros([2, 0]))).toBe('Tensor(f32 [2,0]) [[],\n []]');
    expect(String(zeros([0, 2]))).toBe('Tensor(f32 [0,2]) []');
  });
  test("Node's console prints the same", () => {
    expect(inspect(tensor([1]))).toBe('Tensor(f32 [1]) [1.0000]');
  });
});

describe('a tensor as plain values', () => {
  test('tolist undoes tensor, also where axes are empty', () => {
    const ints = fc.integer({ min: -1000, max: 1000 });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }), ints, (shape, first) => {
        const n = shape.reduce((a, b) => a * b, 1);
        const x = tensor(
          Array.from({ length: n }, (_, i) => first + i),
          shape,
        );
        const list = x.tolist();
        const depth = (l: unknown): number[] => (Array.isArray(l) ? [l.length, ...(l.length ? depth(l[0]) : [])] : []);
        const sizes = depth(list);
        expect(sizes).toEqual(shape.slice(0, sizes.length));
        expect(([list] as unknown[]).flat(9)).toEqual([...x.readSync()]);
        if (n > 0) expect(tensor(list).shape).toEqual(shape);
      }),
    );
  });
  test('JSON has the values, in trees too', () => {
    expect(JSON.stringify({ w: tensor([[1, 2.5]]), b: tensor(3) })).toBe('{"w":[[1,2.5]],"b":3}');
  });
  test('operators see the number of a single element, and refuse more', () => {
    const loss = tensor([2]);
    const [one, many] = [loss as unknown as number, tensor([1, 2]) as unknown as number];
    expect([one > 1, one > 3, +one, 1 + one, one / 4]).toEqual([true, false, 2, 3, 0.5]);
    expect(`${loss}`).toBe('Tensor(f32 [1]) [2.0000]');
    expect(() => many > 0).toThrow('a tensor [2] is not one number');
    expect(() => +many).toThrow('use greater(x, y) or sub(x, y)');
    expect(`values: ${many}`).toContain('[1.0000, 2.0000]');
    expect('values: '.concat(many as never)).toContain('[1.0000, 2.0000]');
  });
});
