import {
  availableThreads,
  type Backend,
  createReferenceBackend,
  createWasmBackend,
  run,
  scope,
  setDefaultBackend,
  tensor,
} from '@blt-ts/tensor';
import { UserError } from './errors.ts';

export interface BackendOptions {
  /** auto: wasm where it starts, else reference. */
  backend?: 'auto' | 'wasm' | 'reference';
  /** CPU threads of the wasm backend (default: all cores). The bits do not depend on it. */
  threads?: number;
}

/** The backend to use, made the default for new tensors; `why` is for people. @throws UserError if the one asked for does not start */
export function chooseBackend({ backend = 'auto', threads = availableThreads() }: BackendOptions): {
  backend: Backend;
  why: string;
} {
  const use = (chosen: Backend, reason: string) => {
    setDefaultBackend(chosen);
    return { backend: chosen, why: `${chosen.name} (${chosen.description}); ${reason}` };
  };
  if (backend === 'reference') return use(createReferenceBackend(), 'as asked');
  try {
    return use(createWasmBackend({ threads }), backend === 'auto' ? 'chosen because it starts here' : 'as asked');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (backend === 'wasm')
      throw new UserError(`the wasm backend does not start: ${message}; use --backend reference`, 1);
    return use(createReferenceBackend(), `chosen because wasm does not start: ${message}`);
  }
}

/** GFLOP/s of a matrix product of a training step's size, measured now: what estimates are made from. */
export function measureGflops(backend: Backend): number {
  return scope(() => {
    const [M, K, N] = backend.name === 'wasm' ? [1024, 128, 384] : [64, 64, 64];
    const a = tensor(new Float32Array(M * K).fill(0.5), [M, K], { backend });
    const b = tensor(new Float32Array(N * K).fill(0.5), [N, K], { backend });
    const product = () => scope(() => void run('matmul', [a, b], { transposeA: false, transposeB: true }));
    for (let i = 0; i < 3; i++) product();
    const start = performance.now();
    let rounds = 0;
    while (performance.now() - start < 60) {
      product();
      rounds++;
    }
    return (2 * M * K * N * rounds) / ((performance.now() - start) * 1e6);
  });
}
