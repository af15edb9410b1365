/** @file The rows of all operations that are made of others. */

import type { Differentiable } from '../../packages/autograd/src/testing/op-gradient.ts';
import type { Case } from '../../packages/autograd/src/testing/op-row.ts';
import { libraryElementwise } from './library-elementwise.ts';
import { libraryReduce } from './library-reduce.ts';
import type { LibraryRow } from './library-row.ts';
import { libraryShape } from './library-shape.ts';

export const libraryTable: Record<string, LibraryRow<never>> = {
  ...libraryElementwise,
  ...libraryShape,
  ...libraryReduce,
};

/** A row as the tests of kernels take it. */
export const asGradient = ({ operation, constants, smooth }: LibraryRow<never>): Differentiable<never> =>
  ({ operation, order: 2, constants, smooth }) as Differentiable<never>;

export type AnyCase = Case<never>;
