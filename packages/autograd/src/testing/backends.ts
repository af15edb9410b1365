/** @file A backend under test, and how exact it claims to be. */
import { type Backend, createReferenceBackend } from '@blt-ts/tensor';

/** The precision of a backend's arithmetic. */
export interface Precision {
  /** Its unit roundoff: 2^-24 for 32-bit floats. */
  readonly roundoff: number;
  /** Below this, results may be flushed to 0: the smallest normal number. */
  readonly tiny: number;
}

/** A backend under test. */
export interface TestedBackend extends Precision {
  /** How messages call it. */
  readonly name: string;
  readonly backend: Backend;
}

/** A backend of 32-bit floats that may flush subnormal numbers to 0. */
export const tested = (backend: Backend, name: string = backend.name): TestedBackend => ({
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
