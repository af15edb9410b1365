/** @file The laws of exercise 12. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import { buildLayout } from '@blt-ts/blt';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';

const cases = fc.record({
  lengths: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
  k: fc.integer({ min: 1, max: 3 }),
});

export const exercise: Exercise<typeof import('../holes/12-decoder.ts')> = {
  laws: ({ decoderInterval }) => [
    law('the interval is that of the library', cases, 200, ({ lengths, k }) => {
      const patchLengths = Int32Array.from([1, ...lengths]);
      let at = 0;
      const starts = Array.from(patchLengths, (length) => (at += length) - length);
      const n = at - 1; // the last byte is the one to come
      const ids = new Int32Array(n).fill(9);
      const { lo, hi } = buildLayout([{ ids, patchLengths }], { k, window: null, documents: false }).decoderCross;
      expectEqual(decoderInterval(n, starts, k), { lo: [...lo], hi: [...hi] }, 'the interval');
    }),
  ],
  hints: [
    'The patch of byte i is the last one with a start of at most i.',
    'Byte i reads patch(i + 1) - 1, not patch(i) - 1.',
  ],
};
