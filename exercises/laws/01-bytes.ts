/** @file The laws of exercise 1. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import { encode } from '@blt-ts/blt';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';

const text = fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: 'grapheme', maxLength: 4 }));

export const exercise: Exercise<typeof import('../holes/01-bytes.ts')> = {
  laws: (work) => [
    law('there is an id for the beginning and one for each byte', text, 50, (x) => {
      expectEqual(work.encode(x).length, 1 + new TextEncoder().encode(x).length, 'ids');
    }),
    law('the ids are those of the library', text, 200, (x) => {
      expectEqual(work.encode(x), [...encode(x, { bos: true, eos: false })], 'ids');
    }),
  ],
  hints: ['`new TextEncoder().encode(text)` gives the bytes of UTF-8. A letter such as é has two.', 'Put 1 in front.'],
};
