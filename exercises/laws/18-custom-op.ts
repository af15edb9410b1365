/** @file The laws of exercise 18. */
import { floats, gradientLaws, law, shapes } from '@blt-ts/autograd/testing';
import { tensor } from '@blt-ts/tensor';
import type { Exercise } from '../grade.ts';
import { expectNear, row } from './draw.ts';

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
    ];
  },
  hints: ['forward: log(add(exp(x), 1)).', 'The slope is e^x / (1 + e^x), which is sigmoid(x).'],
};
