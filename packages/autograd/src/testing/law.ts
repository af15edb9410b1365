/** @file The form of a law, and how it is checked: by fast-check, under any test runner or none. */
import fc from 'fast-check';

/** How a law is checked. */
export interface CheckOptions {
  /** Number of generated cases; the law's own number unless said. */
  readonly cases?: number;
  /** Draws the same cases again. A failure prints its seed. */
  readonly seed?: number;
  /** Look for the smallest case that breaks the law (default true). */
  readonly shrink?: boolean;
}

/**
 * A statement that holds for every generated case. Every test runner can check it, because `check` is a plain function:
 * `for (const law of laws) test(law.name, () => law.check())`.
 */
export interface Law {
  /** The statement, in words. */
  readonly name: string;
  /** Cases that are checked unless said otherwise. */
  readonly cases: number;
  /**
   * Checks the law, at once, or for a backend whose values must be waited for as a promise.
   * @throws Error with the name of the law, the seed, the smallest case that breaks it, and how it breaks it
   */
  check(options?: CheckOptions): void | Promise<void>;
}

const parameters = (law: Law, { cases = law.cases, seed, shrink = true }: CheckOptions) => ({
  numRuns: cases,
  seed,
  endOnFailure: !shrink,
});

/** Puts the name of the law in front of what fast-check says. */
function broken(law: Law, error: unknown): Error {
  const { message, cause } = error as Error;
  return new Error(`the law "${law.name}" is broken. ${message}`, { cause });
}

/** A law about generated cases: `holds` throws where it is broken. */
export function law<T>(name: string, arbitrary: fc.Arbitrary<T>, cases: number, holds: (x: T) => void): Law {
  const property = fc.property(arbitrary, (x) => {
    holds(x);
  });
  const made: Law = {
    name,
    cases,
    check(options = {}) {
      try {
        fc.assert(property, parameters(made, options));
      } catch (error) {
        throw broken(made, error);
      }
    },
  };
  return made;
}

/** `law` where the answer must be waited for. */
export function asyncLaw<T>(
  name: string,
  arbitrary: fc.Arbitrary<T>,
  cases: number,
  holds: (x: T) => Promise<void>,
): Law {
  const property = fc.asyncProperty(arbitrary, holds);
  const made: Law = {
    name,
    cases,
    async check(options = {}) {
      try {
        await fc.assert(property, parameters(made, options));
      } catch (error) {
        throw broken(made, error);
      }
    },
  };
  return made;
}

/** Throws unless two values are the same in JSON, which tells shapes and lists of whole numbers apart. */
export function expectEqual(got: unknown, want: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(got), JSON.stringify(want)];
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
}

/** The bits of an array of floats or whole numbers. */
const bitsOf = (x: ArrayBufferView): Uint8Array => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

/** Throws unless two arrays have the same bits: -0 is not 0, and a NaN is itself. */
export function expectSameBits(
  got: Float32Array | Float64Array | Int32Array,
  want: Float32Array | Float64Array | Int32Array,
  what: string,
): void {
  if (got.length !== want.length) throw new Error(`${what}: ${got.length} values, not ${want.length}`);
  const [found, wanted] = [bitsOf(got), bitsOf(want)];
  const at = found.findIndex((byte, i) => byte !== wanted[i]);
  if (at < 0 && found.length === wanted.length) return;
  const i = Math.floor(at / got.BYTES_PER_ELEMENT);
  throw new Error(`${what}: element ${i} of ${got.length} is ${got[i]}, not ${want[i]}, to the bit`);
}
