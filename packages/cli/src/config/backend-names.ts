/** @file The values of `--backend` and of the key `backend`. */

/** `auto`: a hardware GPU if there is one, else wasm. */
export const BACKEND_NAMES = ['auto', 'wasm', 'reference', 'webgpu', 'webgl2', 'webasm'] as const;

export type BackendName = (typeof BACKEND_NAMES)[number];
