/** @file The laws of exercise 7. */
import { defineOp, tanh } from '@blt-ts/autograd';
import { floats, gradientLaws, shapes } from '@blt-ts/autograd/testing';
import type { Exercise } from '../grade.ts';

export const exercise: Exercise<typeof import('../holes/07-tanh.ts')> = {
  laws: ({ tanhRule }) => {
    const own = defineOp({
      name: 'tanh',
      inputs: ['x'],
      forward: ([x]) => tanh(x),
      vjp: (g, { out }) => [tanhRule(g, out)],
    });
    const cases: Parameters<typeof gradientLaws>[0]['cases'] = (size) =>
      shapes(size)
        .chain((shape) => floats(shape))
        .map((x) => ({ ins: [x], attrs: {} }));
    return gradientLaws({ name: 'tanh', cases, operation: ([x]) => own(x) });
  },
  hints: ["tanh is sinh / cosh. The quotient rule gives y' = (cosh^2 - sinh^2) / cosh^2.", "y' = 1 - y^2"],
};
