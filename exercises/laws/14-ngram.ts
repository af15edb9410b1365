/** @file The laws of exercise 14. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import { hashNgrams } from '@blt-ts/blt';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';

const cases = fc.record({
  ids: fc.array(fc.integer({ min: 0, max: 259 }), { minLength: 1, maxLength: 9 }),
  n: fc.integer({ min: 1, max: 8 }),
  rows: fc.constantFrom(4, 97, 500),
});

export const exercise: Exercise<typeof import('../holes/14-ngram.ts')> = {
  laws: ({ ngramRow }) => [
    law('the rows are those of the library', cases, 300, ({ ids, n, rows }) => {
      const wanted = [...hashNgrams(Int32Array.from(ids), { groupSizes: [n], functions: 1, vocab: rows })];
      expectEqual(
        ids.map((_, i) => ngramRow(ids, i, n, rows)),
        wanted,
        'rows',
      );
    }),
  ],
  hints: [
    'Begin with the newest id: h = h * prime + id, down to the oldest. Wrap after each step.',
    '% of a negative number is negative in JavaScript: add rows, and take % once more.',
  ],
};
