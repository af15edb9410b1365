/** @file The laws of exercise 13. */
import { rope as libraryRope, ropeTable } from '@blt-ts/autograd';
import { law } from '@blt-ts/autograd/testing';
import { tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

const pairs = fc.integer({ min: 1, max: 3 }).map((n) => 2 * n);
const position = fc.integer({ min: 0, max: 30 });
const theta = fc.constantFrom(100, 10_000);
const two = pairs.chain((n) => fc.tuple(row(n, n), row(n, n), position, position, theta));
const dot = (a: readonly number[], b: readonly number[]) => [a.reduce((sum, x, i) => sum + x * b[i], 0)];

export const exercise: Exercise<typeof import('../holes/13-rope.ts')> = {
  laws: ({ rope }) => [
    law('position 0 is not turned', two, 50, ([x, , , , t]) => expectNear(rope(x, 0, t), x, 'the row')),
    law('products depend on the distance of positions alone', two, 100, ([x, y, m, n, t]) => {
      expectNear(dot(rope(x, m, t), rope(y, n, t)), dot(rope(x, m + 5, t), rope(y, n + 5, t)), 'the product');
    }),
    law('the row is that of the library', two, 100, ([x, , m, , t]) => {
      const X = tensor(x, [1, x.length]);
      const table = ropeTable(X.backend, t, x.length, 31);
      const wanted = libraryRope(X, table, tensor(Int32Array.of(m)), x.length).readSync();
      expectNear(rope(x, m, t), wanted, 'the row', 1e-5);
    }),
  ],
  hints: [
    'Both values of a pair have one angle: c - (c % 2) is 2j.',
    'The second value is a sin t + b cos t, with the OLD a.',
  ],
};
