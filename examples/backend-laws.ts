/**
 * @file A backend of one's own under the laws. One that counts its kernels keeps them. One that loses the last element of every sum
 * is found, with the smallest case that shows it. `node scripts/example.mjs backend-laws` runs it from a checkout.
 */
import { forwardLaws } from '@blt-ts/autograd/testing';
import { type Backend, createReferenceBackend, type KernelName } from '@blt-ts/tensor';

/** The kernels that the laws look at here. Left out, it is all of them. */
const kernels = ['sum', 'exp', 'matmul'] as const satisfies readonly KernelName[];

/** How often each kernel ran on the counting backend. */
export const calls = new Map<string, number>();

/** The reference backend with another `run`: what a backend is, is one method that fills outputs, and a memory. */
function withRun(run: (inner: Backend) => Backend['run']): Backend {
  const backend = createReferenceBackend();
  backend.run = run(createReferenceBackend()).bind(backend);
  return backend;
}

const counting = withRun((inner) => (kernel, outs, ins, attrs) => {
  calls.set(kernel, (calls.get(kernel) ?? 0) + 1);
  inner.run(kernel, outs, ins, attrs);
});
const forgetful = withRun((inner) => (kernel, outs, ins, attrs) => {
  inner.run(kernel, outs, ins, attrs);
  const values = outs[0].storage.handle as Float32Array;
  if (kernel === 'sum') values[outs[0].storage.length - 1] = 0;
});

/** The names of the laws that a backend breaks, each with the message that shows how. */
export const broken = (backend: Backend): [name: string, message: string][] =>
  forwardLaws(backend, { kernels }).flatMap((law): [string, string][] => {
    try {
      law.check({ seed: 1 });
      return [];
    } catch (error) {
      return [[law.name, (error as Error).message]];
    }
  });

export const found = { counting: broken(counting), forgetful: broken(forgetful) };
console.log(`counting: ${found.counting.length} laws broken, ${calls.get('matmul')} products`);
console.log(`forgetful: ${found.forgetful.length} laws broken`);
console.log(found.forgetful[0]?.[1]);
