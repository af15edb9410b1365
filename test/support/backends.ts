/** @file The backends every suite runs on. */
import { reference64, type TestedBackend, tested } from '@blt-ts/autograd/testing';
import { createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';

export { reference64, type TestedBackend };

/** 32-bit backends: results are compared with the definition, within the bound of the row. */
export const backends: readonly TestedBackend[] = [
  tested(createReferenceBackend()),
  tested(createWasmBackend()),
  tested(createWasmBackend({ deterministic: true }), 'wasm, deterministic'),
];
