/** @file The laws of exercise 2. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import { boundaryRule } from '@blt-ts/blt';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';

const bytes = fc.array(fc.oneof(fc.constantFrom(32, 46, 97, 98, 57, 195, 169), fc.nat({ max: 255 })), { maxLength: 8 });
const rule = boundaryRule({ mode: 'space' });

export const exercise: Exercise<Pick<typeof import('../holes/02-spaces.ts'), 'ends'>> = {
  laws: ({ ends }) => [
    law('there is one answer for each byte', bytes, 50, (x) => expectEqual(ends(x).length, x.length, 'answers')),
    law('patches end where the library ends them', bytes, 300, (x) => {
      // An ordinary letter stands for the byte before the first.
      const id = (i: number) => (i < 0 ? 97 : x[i]) + 4;
      expectEqual(
        ends(x),
        x.map((_, i) => rule(i + 1, id(i), id(i - 1), 0, 0)),
        'ends',
      );
    }),
  ],
  hints: ['In ". " the space comes after another space-like byte, so it begins the next patch.'],
};
