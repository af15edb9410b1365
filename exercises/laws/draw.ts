/** @file Random inputs of the exercises, and comparisons that say what differs. Floats come from integers, so that no case is vacuous. */
import fc from 'fast-check';

/** Multiples of 1/8 in -4 .. 4. */
export const value = fc.integer({ min: -32, max: 32 }).map((i) => i / 8);
/** `least` to `most` values. */
export const row = (least = 1, most = 6): fc.Arbitrary<number[]> =>
  fc.array(value, { minLength: least, maxLength: most });
/** A matrix of `rows` x `columns` values, row after row. */
export const matrix = (rows: number, columns: number): fc.Arbitrary<number[]> => row(rows * columns, rows * columns);
/** Probabilities that sum to 1; some are 0. */
export const distribution = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 })
  .map((parts) => (parts.some((part) => part > 0) ? parts : [1, ...parts]))
  .map((parts) => parts.map((part) => part / parts.reduce((a, b) => a + b)));

/** Throws unless two lists of numbers agree to `within`, relative to numbers above 1. NaN agrees with nothing. */
export function expectNear(got: ArrayLike<number>, want: ArrayLike<number>, what: string, within = 1e-9): void {
  if (got.length !== want.length) throw new Error(`${what} has ${got.length} values, not ${want.length}`);
  for (let i = 0; i < want.length; i++) {
    const near = got[i] === want[i] || Math.abs(got[i] - want[i]) <= within * Math.max(1, Math.abs(want[i]));
    if (!near) throw new Error(`${what}, value ${i}: ${got[i]}, not ${want[i]}`);
  }
}
