/** @file The common part of rows of the library that take a block of three axes. */
import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { type LibraryRow, row } from './library-row.ts';
import { type Arr, at, blank, type Expected, range } from './op-row.ts';
import { floats } from './op-values.ts';

/** x of three axes, and attributes. */
export const ofBlock = <A>(
  attrs: fc.Arbitrary<A> | ((shape: readonly number[]) => fc.Arbitrary<A>),
  define: (x: Arr, attrs: A) => Expected,
  operation: (x: Tensor, attrs: A) => Tensor,
  options: Partial<LibraryRow<A>> = {},
): LibraryRow<never> =>
  row<A>({
    cases: (size) =>
      fc.tuple(size, size, size).chain((sizes) => {
        const shape = sizes.map((d) => Math.min(d, 5));
        return fc.record({ ins: fc.tuple(floats(shape)), attrs: typeof attrs === 'function' ? attrs(shape) : attrs });
      }),
    define: ([x], a) => define(x, a),
    operation: ([x], a) => operation(x, a),
    ...options,
  });

export const axisOf = fc.constantFrom<number>(0, 1, 2, -1, -2, -3);
export const whole = (axis: number, rank = 3): number => (axis < 0 ? axis + rank : axis);
export const replaced = (xs: readonly number[], at: number, value: number): number[] =>
  xs.map((x, i) => (i === at ? value : x));

/** The elements of x along an axis, at the place of `index`. */
export const line = (x: Arr, axis: number, index: readonly number[]): number[] =>
  range(x.shape[axis]).map((l) => at(x, ...replaced(index, axis, l)));

export const outOfRange = (op: string, rank = 3) =>
  `${op}: axis 3 is out of range for rank ${rank}; use ${-rank}..${rank - 1}`;
export const axisRefusal = (op: string) => ({ ins: [blank(1, 2, 1)], attrs: 3 as number, message: outOfRange(op) });
