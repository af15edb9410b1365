/** @file The laws of exercise 11. */
import { expectEqual, law } from '@blt-ts/autograd/testing';
import { byteLayout } from '@blt-ts/blt';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';

const cases = fc.record({ n: fc.integer({ min: 1, max: 9 }), window: fc.integer({ min: 1, max: 9 }) });

export const exercise: Exercise<typeof import('../holes/11-window.ts')> = {
  laws: ({ windowInterval }) => [
    law('no byte sees more than the window, or what comes after it', cases, 100, ({ n, window }) => {
      const { lo, hi } = windowInterval(n, window);
      for (let i = 0; i < n; i++) expectEqual(hi[i] - lo[i], Math.min(i + 1, window), `keys that byte ${i} sees`);
    }),
    law('the interval is that of the library', cases, 100, ({ n, window }) => {
      const { lo, hi } = byteLayout([new Int32Array(n).fill(9)], { window, documents: false }).local;
      expectEqual(windowInterval(n, window), { lo: [...lo], hi: [...hi] }, 'the interval');
    }),
  ],
  hints: ['hi[i] is one past the last key, and that is byte i itself.', 'There is nothing before byte 0.'],
};
