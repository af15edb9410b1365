/** @file Rows of operations that are made of others: like those of the op table, but for a function instead of a kernel. */
import type { Arr, DifferentiableOp, Expected } from './op-row.ts';

/** Everything that is known of one operation of the library: inputs, definition, gradient, refusals. */
export interface LibraryRow<A> extends Pick<DifferentiableOp<A>, 'cases' | 'operation' | 'constants' | 'smooth'> {
  /** The result in 64 bits. */
  readonly define: (ins: readonly Arr[], attrs: A) => Expected;
  /** Type of the result; f32 unless said. */
  readonly dtype?: 'i32';
  /** Whole numbers come out or go in: there is nothing to differentiate. */
  readonly whole?: true;
  /** Calls that must be refused, and the exact sentence. */
  readonly refusals?: readonly { readonly ins: readonly Arr[]; readonly attrs: A; readonly message: string }[];
}

/** A row of whatever attributes: they still belong to its definition and its operation. */
export const row = <A>(r: LibraryRow<A>): LibraryRow<never> => r as unknown as LibraryRow<never>;
