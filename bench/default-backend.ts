/**
 * @file A product of two 512 x 512 matrices as the first lines of the README have it, on the backend that nobody named, beside
 * `createWasmBackend()` and one with as many threads, in turns. `pnpm bench default-backend [--seconds 2] [--json]`.
 */
import { matmul } from '@blt-ts/autograd';
import { availableThreads, type Backend, createWasmBackend, defaultBackend, scope, tensor } from '@blt-ts/tensor';
import { flags, inTurns, median, ratio, report, short } from './support/harness.ts';
import { noise } from './support/kernel-call.ts';

const { seconds } = flags({ seconds: 2 });
const N = 512;
const one = createWasmBackend();
const all = createWasmBackend({ threads: availableThreads() });
await all.threadsReady();

/** The product on a backend, or on the default one. */
function product(backend?: Backend): () => void {
  const [a, b] = [1, 2].map((scale) => tensor(noise([N, N], scale).data, [N, N], { backend }));
  return () => scope(() => void matmul(a, b));
}

const before = performance.now();
const named = product();
named();
const first = performance.now() - before;
// By the clock, because threads share the work.
const times = inTurns(
  { default: named, one: product(one), all: product(all) },
  { seconds, clock: () => performance.now() },
);
const gflops = (ms: readonly number[]) => short((2 * N ** 3) / median(ms) / 1e6);
const result = {
  backend: defaultBackend().description,
  first_ms: short(first),
  default_gflops: gflops(times.default),
  one_thread_gflops: gflops(times.one),
  all_threads_gflops: gflops(times.all),
  to_one_thread: short(ratio(times.one, times.default)),
  to_all_threads: short(ratio(times.all, times.default)),
};
report('default-backend', result, [
  `default: ${result.default_gflops} GFLOP/s, ${result.to_one_thread} times createWasmBackend() (${result.one_thread_gflops}), ${result.to_all_threads} times that with all threads (${result.all_threads_gflops})`,
  `the first product of the process: ${result.first_ms} ms, with the backend made for it; ${result.backend}`,
]);
process.exit(0);
