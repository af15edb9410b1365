/** @file Rows for the operations that are made of others: like those of the op table, but for a function instead of a kernel. */
import type { Tensor } from '@blt-ts/tensor';
import type fc from 'fast-check';
import type { Arr, Expected } from '../../packages/autograd/src/testing/op-row.ts';

/** Inputs and attributes of one call. */
export interface LibraryCase<A> {
  readonly ins: readonly Arr[];
  readonly attrs: A;
}

export interface LibraryRow<A> {
  readonly cases: (size: fc.Arbitrary<number>) => fc.Arbitrary<LibraryCase<A>>;
  /** The result in 64 bits. */
  readonly define: (ins: readonly Arr[], attrs: A) => Expected;
  readonly operation: (ins: readonly Tensor[], attrs: A) => Tensor;
  /** Whole numbers come out or go in: there is nothing to differentiate. */
  readonly whole?: true;
  /** Float inputs that are constants by contract. */
  readonly constants?: readonly number[];
  /** Makes a case differentiable: away from kinks and ties. */
  readonly smooth?: (c: LibraryCase<A>) => LibraryCase<A>;
  /** Calls that must be refused, and the exact sentence. */
  readonly refusals?: readonly { readonly ins: readonly Arr[]; readonly attrs: A; readonly message: string }[];
}

/** A row of whatever attributes: they still belong to its definition and its operation. */
export const row = <A>(r: LibraryRow<A>): LibraryRow<never> => r as unknown as LibraryRow<never>;
