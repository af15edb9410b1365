/** @file The backends every suite runs on. */
import { type Backend, createReferenceBackend, createWasmBackend } from '@blt-ts/tensor';

export interface TestedBackend {
  readonly name: string;
  readonly backend: Backend;
  /** Its unit roundoff: 2^-24 for 32-bit floats. */
  readonly roundoff: number;
  /** Below this, results may be flushed to 0: the smallest normal number. */
  readonly tiny: number;
}

const single = (name: string, backend: Backend): TestedBackend => ({
  name,
  backend,
  roundoff: 2 ** -24,
  tiny: 2 ** -126,
});

/** The definition in 64 bits. Definitions in the op table are in 64 bits too, with as many roundoffs of their own. */
export const reference64: TestedBackend = {
  name: 'reference in 64 bits',
  backend: createReferenceBackend({ precision: 'f64' }),
  roundoff: 4 * 2 ** -53,
  tiny: 2 ** -1022,
};

/** 32-bit backends: results are compared with the definition, within the bound of the row. */
export const backends: readonly TestedBackend[] = [
  single('reference', createReferenceBackend()),
  single('wasm', createWasmBackend()),
  single('wasm, deterministic', createWasmBackend({ deterministic: true })),
];
