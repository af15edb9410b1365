/** @file Kernels that take several rows or columns at once: the bits are those of each alone. */

import { noise, type RawArray, runOn } from '@blt-ts/autograd/testing';
import { createWasmBackend, type KernelAttrs, type KernelName } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const [narrow, wide] = [false, true].map((pairs) => createWasmBackend({ wide: pairs }));

function values<K extends KernelName>(kernel: K, x: RawArray, attrs: KernelAttrs[K]): number[] {
  const [y] = runOn(narrow, kernel, [x], attrs);
  expect(runOn(wide, kernel, [x], attrs)).toEqual([y]);
  expect(y.some(Number.isNaN)).toBe(false);
  return [...y];
}

const array = (shape: readonly number[], data: readonly number[]): RawArray => ({
  shape,
  data: Float32Array.from(data),
});

/** Numbers of very different sizes that cancel, so that what is left of their sum is the roundings of one order of additions. */
function cancelling(n: number): number[] {
  const { data } = noise(n);
  const sizes = Array.from(data, (v, i) => Math.fround(v * 10 ** ((i * 7) % 19)));
  return sizes.map((v, i) => (i % 6 < 3 ? v : -sizes[i - [1, 4, 4][i % 3]]));
}

/** Rows that cancel, or columns. */
function matrix(rows: number, columns: number, which: 'rows' | 'columns'): RawArray {
  if (which === 'rows') return array([rows, columns], Array.from({ length: rows }, () => cancelling(columns)).flat());
  const all = Array.from({ length: columns }, () => cancelling(rows));
  return array(
    [rows, columns],
    Array.from({ length: rows * columns }, (_, i) => all[i % columns][Math.floor(i / columns)]),
  );
}

const part = ({ shape, data }: RawArray, pick: (row: number, column: number) => boolean): number[] =>
  [...data].filter((_, i) => pick(Math.floor(i / shape[1]), i % shape[1]));

describe.each(['sum', 'max'] as const)('%s', (kernel) => {
  test.each([
    [1, 5],
    [2, 128],
    [5, 7],
    [33, 67],
  ])('along the rows of [%i,%i]: of each row alone', (rows, columns) => {
    const x = matrix(rows, columns, 'rows');
    const alone = Array.from({ length: rows }, (_, r) => {
      // Beside a row of zeros, so that it is not the sum of everything.
      const row = [...part(x, (i) => i === r), ...new Array<number>(columns).fill(0)];
      return values(kernel, array([2, columns], row), { axes: [1] })[0];
    });
    expect(values(kernel, x, { axes: [1] })).toEqual(alone);
  });

  test.each([
    [9, 16],
    [31, 37],
    [4, 53],
  ])('along the columns of [%i,%i]: of each column beside two others', (rows, columns) => {
    const x = matrix(rows, columns, 'columns');
    const alone = Array.from({ length: columns }, (_, c) => {
      const column = part(x, (_, j) => j === c).flatMap((v) => [v, 0, 0]);
      return values(kernel, array([rows, 3], column), { axes: [0] })[0];
    });
    expect(values(kernel, x, { axes: [0] })).toEqual(alone);
  });
});

describe('transpose', () => {
  const positions = (shape: readonly number[]): RawArray =>
    array(shape, [...new Array(shape.reduce((a, b) => a * b)).keys()]);

  test.each([
    [13, 1024],
    [8, 2048],
    [70, 100],
  ])('of [%i,%i], whole pages apart or not', (rows, columns) => {
    const y = values('transpose', positions([rows, columns]), { perm: [1, 0] });
    expect(y).toEqual(Array.from({ length: rows * columns }, (_, i) => (i % rows) * columns + Math.floor(i / rows)));
  });

  test('axes of size 1 may stand anywhere', () => {
    const turned = values('transpose', positions([5, 6]), { perm: [1, 0] });
    expect(values('transpose', positions([5, 6, 1]), { perm: [1, 0, 2] })).toEqual(turned);
    expect(values('transpose', positions([1, 5, 1, 6]), { perm: [3, 0, 1, 2] })).toEqual(turned);
    const same = [...positions([5, 6]).data];
    expect(values('transpose', positions([5, 1, 6]), { perm: [1, 0, 2] })).toEqual(same);
    expect(values('transpose', positions([1, 1]), { perm: [1, 0] })).toEqual([0]);
  });
});
