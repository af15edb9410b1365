/** @file The laws of exercise 20. */
import { forwardLaws } from '@blt-ts/autograd/testing';
import { type Backend, createReferenceBackend, type KernelAttrs } from '@blt-ts/tensor';
import type { Exercise } from '../grade.ts';
import type { rmsNorm } from '../holes/20-kernel.ts';

/** The reference backend with one kernel of the reader's. */
function withKernel(own: typeof rmsNorm): Backend {
  const backend = createReferenceBackend();
  const { run } = backend;
  backend.run = (kernel, outs, ins, attrs) => {
    if (kernel !== 'rmsNorm') return run(kernel, outs, ins, attrs);
    type Values = Parameters<typeof own>[0];
    const [y, x, w] = [...outs, ...ins].map(({ storage }) => storage.handle as Values);
    own(y, x, w, (attrs as KernelAttrs['rmsNorm']).eps);
  };
  return backend;
}

export const exercise: Exercise<typeof import('../holes/20-kernel.ts')> = {
  laws: ({ rmsNorm }) => forwardLaws(withKernel(rmsNorm), { kernels: ['rmsNorm'] }),
  hints: [
    'Two loops for each row: one for the sum of squares, one for the values.',
    'The mean divides by C, inside the root.',
  ],
};
