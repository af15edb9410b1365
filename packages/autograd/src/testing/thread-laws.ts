/** @file The law of threads: the bits do not depend on who did the work. */
import type { Backend, KernelName } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expectSameBits, type Law, law } from './law.ts';
import { runOn } from './noise.ts';
import { jobs } from './thread-jobs.ts';

/**
 * A backend gives the same bits as another one that is meant to compute the same: the same backend on one thread, or with other
 * vectors. Each law is one kernel on arrays large enough to be shared between threads, with sizes that divide evenly by nothing.
 * It runs three times, because which thread does what differs from call to call.
 * @param backend the backend with several threads, which have started (`await backend.threadsReady()`)
 * @param alone the backend with one
 */
export function threadLaws(backend: Backend, alone: Backend): Law[] {
  return jobs().map(([what, kernel, ins, attrs]) => {
    let expected: ReturnType<typeof runOn> | undefined;
    return law(`${what} (${kernel}): the bits do not depend on the threads`, fc.constant(null), 3, () => {
      expected ??= runOn(alone, kernel, ins, attrs as never);
      runOn(backend, kernel as KernelName, ins, attrs as never).forEach((y, i) => {
        expectSameBits(y, expected![i], `output ${i}`);
      });
    });
  });
}
