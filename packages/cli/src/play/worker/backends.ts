/** @file The backends a worker can compute on. Those of gpu.js are a chunk of their own, fetched when one is asked for. */
import { leaves } from '@blt-ts/autograd';
import { parametersOn } from '@blt-ts/blt';
import { availableThreads, type Backend, createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';
import type { BackendChoice, BackendFacts } from '../messages.ts';

export interface Chosen {
  readonly backend: Backend;
  readonly facts: BackendFacts;
}

/** The exports of packages/tensor/src/gpu. */
type GpuModule = typeof import('@blt-ts/tensor/gpu');

export type { GpuBackend } from '@blt-ts/tensor/gpu';

/** Threads worth starting: more than four gain nothing on models of this size, and the browser needs some of the cores itself. */
export const threadCount = (): number => Math.min(4, Math.max(2, Math.floor(availableThreads() / 2)));

/** CPU backends by choice. Each reserves its addresses for good, and a tab has only so many: one of a kind is kept. */
const kept = new Map<BackendChoice, Backend>();

function keptBackend(choice: 'reference' | 'wasm' | 'wasm-threads', create: () => Backend): Backend {
  let backend = kept.get(choice);
  if (!backend) kept.set(choice, (backend = create()));
  return backend;
}

/** Parameters that can be read at once: themselves, or a copy of those that are on a device. */
export async function onCpu<P extends object>(params: P): Promise<P> {
  const [[, leaf]] = leaves(params);
  return leaf.backend.synchronous
    ? params
    : parametersOn(
        params,
        keptBackend('wasm', () => createWasmBackend()),
      );
}

/** @throws Error in one sentence if the backend does not start here */
export async function startBackend(choice: BackendChoice): Promise<Chosen> {
  const chosen = (backend: Backend): Chosen => ({
    backend,
    facts: { choice, name: backend.name, description: backend.description },
  });
  switch (choice) {
    case 'reference':
      return chosen(keptBackend(choice, () => createReferenceBackend()));
    case 'wasm':
      return chosen(started(choice, () => createWasmBackend()));
    case 'wasm-threads':
      return chosen(started(choice, () => createWasmBackend({ threads: threadCount() })));
    default:
      return chosen(await startGpu(choice));
  }
}

function started(choice: 'wasm' | 'wasm-threads', create: () => Backend): Backend {
  try {
    return keptBackend(choice, create);
  } catch (error) {
    throw new Error(`the backend ${choice} does not start in this browser: ${message(error)}; choose reference`);
  }
}

async function startGpu(mode: 'webgpu' | 'webgl2' | 'webasm'): Promise<Backend> {
  let gpu: GpuModule;
  try {
    // A file beside this one, not part of the bundle: the page loads no gpu.js until it is wanted.
    const url = './gpu.js';
    gpu = (await import(url)) as GpuModule;
  } catch (error) {
    throw new Error(`gpu.js could not be loaded: ${message(error)}; choose wasm`);
  }
  try {
    return await gpu.createGpuBackend({ mode });
  } catch (error) {
    throw new Error(`the backend ${mode} does not start in this browser: ${message(error)}; choose wasm`);
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
