/** @file Shapes: broadcasting, axes, strides. */

import { broadcastable, indices, raggedSize, range, shapes } from '@blt-ts/autograd/testing';
import { broadcastShapes, formatShape, normalizeAxes, ShapeError, sameShape, sizeOf, stridesOf } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../support/property.ts';

const shape = shapes(raggedSize);

describe('sizes and strides', () => {
  property('sizeOf counts the indices of a shape', shape, 50, (s) => expect(sizeOf(s)).toBe(indices(s).length));
  test('a scalar holds one element', () => expect(sizeOf([])).toBe(1));
  property('stridesOf: the offset of index i is the place of i in row-major order', shape, 50, (s) => {
    const strides = stridesOf(s);
    indices(s).forEach((index, place) => {
      expect(index.reduce((offset, i, axis) => offset + i * strides[axis], 0)).toBe(place);
    });
  });
  property('sameShape is equality of the printed shapes', fc.tuple(shape, shape), 50, ([a, b]) => {
    expect(sameShape(a, b)).toBe(formatShape(a) === formatShape(b));
    expect(sameShape(a, [...a])).toBe(true);
  });
  test('formatShape', () => expect([[], [2], [2, 0, 3]].map(formatShape)).toEqual(['[]', '[2]', '[2,0,3]']));
});

describe('broadcastShapes', () => {
  const pairs = broadcastable(raggedSize, 2);
  property('is symmetric', pairs, 50, ([a, b]) =>
    expect(broadcastShapes('op', a, b)).toEqual(broadcastShapes('op', b, a)),
  );
  property('a scalar and the shape itself change nothing', shape, 50, (a) => {
    expect(broadcastShapes('op', a, [])).toEqual(a);
    expect(broadcastShapes('op', a, a)).toEqual(a);
  });
  property('on every axis the size is that of an operand, and 1 only if both are', pairs, 50, ([a, b]) => {
    const y = broadcastShapes('op', a, b);
    expect(y.length).toBe(Math.max(a.length, b.length));
    for (const back of range(y.length).map((i) => -1 - i)) {
      const sizes = [a.at(back) ?? 1, b.at(back) ?? 1].filter((d) => d !== 1);
      expect(y.at(back)).toBe(sizes[0] ?? 1);
    }
  });
  test('size 1 gives way to size 0', () => expect(broadcastShapes('op', [1, 3], [0, 1])).toEqual([0, 3]));
  test('names the op, both shapes, the sizes that differ and the axis', () => {
    expect(() => broadcastShapes('add', [4, 2, 3], [5, 1])).toThrow(
      new ShapeError('add: shapes [4,2,3] and [5,1] do not broadcast: 2 != 5 on axis -2'),
    );
    expect(() => broadcastShapes('mul', [0], [2])).toThrow(
      'mul: shapes [0] and [2] do not broadcast: 0 != 2 on axis -1',
    );
  });
});

describe('normalizeAxes', () => {
  test('undefined means all of them', () => expect(normalizeAxes('sum', undefined, 3)).toEqual([0, 1, 2]));
  test('a number is a list of one, negative ones count from the end', () => {
    expect(normalizeAxes('sum', 1, 3)).toEqual([1]);
    expect(normalizeAxes('sum', -1, 3)).toEqual([2]);
    expect(normalizeAxes('sum', [], 3)).toEqual([]);
  });
  const some = fc
    .integer({ min: 0, max: 5 })
    .chain((rank) => fc.tuple(fc.constant(rank), fc.shuffledSubarray(range(rank))));
  property('sorts, and takes either sign', some, 50, ([rank, axes]) => {
    const sorted = [...axes].sort((a, b) => a - b);
    expect(normalizeAxes('sum', axes, rank)).toEqual(sorted);
    expect(
      normalizeAxes(
        'sum',
        axes.map((a) => a - rank),
        rank,
      ),
    ).toEqual(sorted);
  });
  test('refuses what is out of range or named twice', () => {
    for (const axis of [2, -3, 0.5, Number.NaN]) {
      expect(() => normalizeAxes('max', axis, 2)).toThrow(
        new ShapeError(`max: axis ${axis} is out of range for rank 2; use -2..1`),
      );
    }
    expect(() => normalizeAxes('max', [0, -2], 2)).toThrow(new ShapeError('max: axis named twice in [0,0]'));
  });
});
