/** @file The laws of exercise 16. */
import { law } from '@blt-ts/autograd/testing';
import { AdamW } from '@blt-ts/blt';
import { tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, value } from './draw.ts';

/** Some gradients are so small that the step shows where eps stands. */
const gradient = fc.oneof(value, fc.constantFrom(2 ** -17, -(2 ** -17)));
const cases = fc.record({
  gradients: fc.array(gradient, { minLength: 1, maxLength: 4 }),
  lr: fc.constantFrom(0.5, 0.125, 0.01),
});

export const exercise: Exercise<Pick<typeof import('../holes/16-adamw.ts'), 'adamwStep'>> = {
  laws: ({ adamwStep }) => [
    law('some steps end where AdamW of the library ends', cases, 100, ({ gradients, lr }) => {
      const params = { w: tensor([1]) };
      const library = new AdamW(params);
      let state = { w: 1, m: 0, v: 0 };
      gradients.forEach((g, i) => {
        library.step(new Map([['w', tensor([g])]]), lr);
        state = adamwStep(state, g, i + 1, lr);
      });
      expectNear([state.w], params.w.readSync(), 'the weight', 1e-5);
    }),
  ],
  hints: ['m is 0.9 m + 0.1 g, and v is 0.95 v + 0.05 g^2.', 'eps stands outside the root.'],
};
