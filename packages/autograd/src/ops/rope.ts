/** @file Rotary position embedding. */
import type { Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/** cos and sin of position * theta^(-2j/headDim), each [positions, headDim/2]. */
export interface RopeTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Rotary position embedding on interleaved pairs (2j, 2j+1) of each head.
 * @param x [n, heads*headDim]   @param table cos, sin [maxPosition, headDim/2]   @param positions [n] i32
 * @param inverse turn the other way
 * @throws RangeError naming the first position outside the table; Error for a gradient with respect to the table, which is constant
 * @see Su et al. 2021, eq. 34
 */
export const rope = (x: Tensor, table: RopeTable, positions: Tensor, headDim: number, inverse = false): Tensor =>
  apply('rope', [x, table?.cos, table?.sin, positions], { headDim, inverse });
