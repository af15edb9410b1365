/** @file Operations on shapes. */
import * as ag from '@blt-ts/autograd';
import { at, floats, holds, range, smallSize } from '@blt-ts/autograd/testing';
import { ShapeError, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../../support/property.ts';

describe('shapes', () => {
  const block = fc.tuple(smallSize, smallSize, smallSize).chain((shape) => floats(shape));
  property('reshape finds the size that is left', block, 15, (x) => {
    const [a, b, c] = x.shape;
    if (a * b > 0) holds((t) => ag.reshape(t, [a, -1, b]), [x], [a, c, b], x.values);
    holds((t) => ag.reshape(t, [-1]), [x], [a * b * c], x.values);
  });
  property('transpose without an order reverses the axes', block, 15, (x) => {
    const [a, b, c] = x.shape;
    const values = range(c).flatMap((k) => range(b).flatMap((j) => range(a).map((i) => at(x, i, j, k))));
    holds((t) => ag.transpose(t), [x], [c, b, a], values);
  });
  property('slice takes the axes left out whole', block, 15, (x) => {
    const [a, b, c] = x.shape;
    holds((t) => ag.slice(t, [Math.min(1, a)], [a]), [x], [Math.max(0, a - 1), b, c], x.values.slice(b * c));
  });
  property('concat counts a negative axis from the end', block, 15, (x) => {
    const [a, b, c] = x.shape;
    const values = range(a).flatMap((i) =>
      range(b).flatMap((j) => [...range(c), ...range(c)].map((k) => at(x, i, j, k))),
    );
    holds((t) => ag.concat([t, ag.neg(ag.neg(t))], -1), [x], [a, b, 2 * c], values);
    holds((t) => ag.concat([t], -3), [x], [a, b, c], x.values);
    holds((t) => ag.concat([t, t]), [x], [2 * a, b, c], [...x.values, ...x.values]);
  });
});

test('errors of shapes are ShapeErrors', () => {
  expect(() => ag.reshape(tensor([1, 2]), [3])).toThrow(ShapeError);
});
