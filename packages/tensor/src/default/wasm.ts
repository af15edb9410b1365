/**
 * @file The backend of those who name none: wasm with as many threads as the machine runs at once, and reference where there is no
 * WebAssembly. A bundle for the condition `blt-reference` has default/reference.ts in its place, and no WebAssembly in it.
 */
import type { Backend } from '../backend.ts';
import { referenceBackend } from '../reference/backend.ts';
import { availableThreads, createWasmBackend } from '../wasm/backend.ts';

/** Made when the first tensor asks for it, in some 10 ms; threads start at the first large kernel, and no process waits for them. */
export function createDefaultBackend(): Backend {
  if (typeof WebAssembly === 'undefined') return referenceBackend;
  try {
    return createWasmBackend({ threads: availableThreads() });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    console.warn(`blt-ts: the wasm backend does not start (${why}); going on with the slow reference backend`);
    return referenceBackend;
  }
}
