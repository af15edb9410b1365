/** @file The laws of exercise 18. */
import { grad, sum } from '@blt-ts/autograd';
import { floats, gradientLaws, law, shapes } from '@blt-ts/autograd/testing';
import { type Tensor, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

/** e^x of these is infinite in 32 bits. */
const large = fc.array(fc.integer({ min: 89, max: 200 }), { minLength: 1, maxLength: 4 });

export const exercise: Exercise<typeof import('../holes/18-custom-op.ts')> = {
  laws: ({ makeSoftplus }) => {
    const softplus = makeSoftplus();
    const cases: Parameters<typeof gradientLaws>[0]['cases'] = (size) =>
      shapes(size)
        .chain((shape) => floats(shape))
        .map((x) => ({ ins: [x], attrs: {} }));
    return [
      law('softplus(x) = ln(1 + e^x)', row(), 50, (x) => {
        const wanted = x.map((xi) => Math.log1p(Math.exp(xi)));
        expectNear(softplus(tensor(x)).readSync(), wanted, 'softplus', 1e-5);
      }),
      ...gradientLaws({ name: 'softplus', cases, operation: ([x]) => softplus(x) }),
      law('the slope at a large x is 1', large, 50, (x) => {
        const slopes = grad((at: { x: Tensor }) => sum(softplus(at.x)))({ x: tensor(x) });
        const wanted = x.map(() => 1);
        expectNear(slopes.x.readSync(), wanted, 'the slope', 1e-5);
      }),
    ];
  },
  hints: [
    'forward: log(add(exp(x), 1)).',
    'The slope is e^x / (1 + e^x), which is sigmoid(x).',
    'For a large x, e^x is infinite and sigmoid(x) is 1. So the rule has to be your own, and it reads sigmoid(x).',
  ],
};
