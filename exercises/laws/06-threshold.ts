/** @file The laws of exercise 6. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import { modelPatchLengths } from '@blt-ts/blt';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { row, value } from './draw.ts';

export const exercise: Exercise<typeof import('../holes/06-threshold.ts')> = {
  laws: ({ starts }) => [
    law('patches start where the library starts them', fc.tuple(row(1, 8), value), 300, ([H, threshold]) => {
      const lengths = modelPatchLengths(new Int32Array(H.length), Float32Array.from(H), { mode: 'entropy', threshold });
      let at = 0;
      const wanted = Array.from(lengths, (length) => (at += length) - length);
      expectEqual(starts(H, threshold), wanted, 'starts');
    }),
  ],
  hints: ['H[0] decides nothing, because id 1 always starts a patch.', 'Above means strictly above: H[i] > threshold.'],
};
