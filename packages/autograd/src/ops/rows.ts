/** @file Reading and summing rows: embedding tables and patches. */
import type { Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/**
 * table [V,C], ids [n] i32 -> [n,C], row i = table[ids[i]].
 * @throws RangeError naming the first id outside the table
 */
export const gatherRows = (table: Tensor, ids: Tensor): Tensor => apply('gatherRows', [table, ids], {});

/** x [n,C], ids [n] i32 -> [rows,C], row r = sum of the x[i] with ids[i] = r. @throws RangeError if an id is not below rows */
export const scatterAddRows = (x: Tensor, ids: Tensor, rows: number): Tensor =>
  apply('scatterAddRows', [x, ids], { rows });

/**
 * table [V,C], ids [n,G] i32 -> [n,C], row i = sum over g of table[ids[i,g]]; id -1 adds nothing (a dropped row).
 * Equal to the sum of G `gatherRows`. @throws RangeError naming the first id outside the table
 */
export const embeddingBag = (table: Tensor, ids: Tensor): Tensor => apply('embeddingBag', [table, ids], {});

/**
 * x [n,C], entries [E], starts [U+1] -> [U,C], row u = sum of x[entries[e]] over starts[u] <= e < starts[u+1].
 * @throws RangeError naming the first entry outside x, or the first start that decreases or lies beyond the entries
 */
export const segmentGatherSum = (x: Tensor, entries: Tensor, starts: Tensor): Tensor =>
  apply('segmentGatherSum', [x, entries, starts], {});

/**
 * Largest element of each segment and channel: x [n,C], starts [P+1] i32 -> [P,C]. An empty segment gives 0.
 * Equal largest elements share the gradient evenly.
 * @throws RangeError naming the first start that decreases or lies outside 0..n
 */
export const segmentMax = (x: Tensor, starts: Tensor): Tensor => apply('segmentMax', [x, starts], {});
