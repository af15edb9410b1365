/** @file Contract of the kernels that read and write rows of tables, and segments of rows. */
import { checkShape, sizeOf } from '../shape.ts';
import { idsOf, rowsOf } from './indices.ts';
import { type Entries, expect, expectRank, expectShape, f32, type Spec } from './types.ts';

/** Input `input` holds the starts of segments of the first one's rows, and the end of the last segment. */
const startsOf = (input: number) =>
  ({ input, name: 'start', end: ([x]: readonly Spec[]) => x.shape[0] + 1, step: 0 }) as const;

export const rows = {
  /** table [V,C], ids [n] -> y [n,C], y[i] = table[ids[i]]. */
  gatherRows: {
    inputs: ['f32', 'i32'],
    outputs: ([table, ids]) => {
      expectRank('gatherRows', 'table', table, 2);
      expectRank('gatherRows', 'ids', ids, 1);
      return [f32([ids.shape[0], table.shape[1]])];
    },
    indices: [idsOf(1, rowsOf)],
    flops: () => 0,
  },
  /** x [n,C], ids [n] -> y [rows,C], y[r] = sum of x[i] over the i with ids[i] = r, in rising i. */
  scatterAddRows: {
    inputs: ['f32', 'i32'],
    outputs: ([x, ids], { rows }) => {
      expectRank('scatterAddRows', 'x', x, 2);
      expectShape('scatterAddRows', 'ids', ids, [x.shape[0]]);
      checkShape([rows, x.shape[1]], 'scatterAddRows');
      return [f32([rows, x.shape[1]])];
    },
    indices: [idsOf(1, (_, { rows }) => rows)],
    flops: ([x]) => sizeOf(x.shape),
  },
  /** table [V,C], ids [n,G] -> y [n,C], y[i] = sum over g of table[ids[i,g]]; id -1 adds nothing (a dropped row). */
  embeddingBag: {
    inputs: ['f32', 'i32'],
    outputs: ([table, ids]) => {
      expectRank('embeddingBag', 'table', table, 2);
      expectRank('embeddingBag', 'ids', ids, 2);
      return [f32([ids.shape[0], table.shape[1]])];
    },
    indices: [{ ...idsOf(1, rowsOf), lowest: -1 }],
    flops: ([, ids], [y]) => ids.shape[1] * sizeOf(y.shape),
  },
  /**
   * x [n,C], entries [E], starts [U+1] -> y [U,C], y[u] = sum of x[entries[e]] over starts[u] <= e < starts[u+1].
   * The gradient of gathers, once the ids are sorted: every output row is computed by one reader, in one order.
   */
  segmentGatherSum: {
    inputs: ['f32', 'i32', 'i32'],
    outputs: ([x, entries, starts]) => {
      expectRank('segmentGatherSum', 'x', x, 2);
      expectRank('segmentGatherSum', 'entries', entries, 1);
      expect(
        starts.shape.length === 1 && starts.shape[0] >= 1,
        () => 'segmentGatherSum: starts needs at least one entry',
      );
      return [f32([starts.shape[0] - 1, x.shape[1]])];
    },
    indices: [
      { input: 1, name: 'entry', end: rowsOf },
      { ...startsOf(2), end: ([, entries]) => entries.shape[0] + 1 },
    ],
    flops: ([x, entries]) => entries.shape[0] * x.shape[1],
  },
  /** x [n,C], starts [P+1] -> y [P,C], y[p,c] = max of x[i,c] over starts[p] <= i < starts[p+1]; an empty segment gives 0. */
  segmentMax: {
    inputs: ['f32', 'i32'],
    outputs: ([x, starts]) => {
      expectRank('segmentMax', 'x', x, 2);
      expect(starts.shape.length === 1 && starts.shape[0] >= 1, () => 'segmentMax: starts needs at least one entry');
      return [f32([starts.shape[0] - 1, x.shape[1]])];
    },
    indices: [startsOf(1)],
    flops: ([x]) => sizeOf(x.shape),
  },
  /** x [n,C], y = segmentMax(x), g [P,C], starts -> dx [n,C]: g shared evenly by the elements equal to the maximum; NaN where that is NaN. */
  segmentMaxBackward: {
    inputs: ['f32', 'f32', 'f32', 'i32'],
    outputs: ([x, y, g, starts]) => {
      expectRank('segmentMaxBackward', 'x', x, 2);
      expectShape('segmentMaxBackward', 'y', y, [starts.shape[0] - 1, x.shape[1]]);
      expectShape('segmentMaxBackward', 'g', g, y.shape);
      expectRank('segmentMaxBackward', 'starts', starts, 1);
      return [x];
    },
    indices: [startsOf(3)],
    flops: ([x]) => 2 * sizeOf(x.shape),
  },
  /** In place: table [V,C], ids [n] unique, x [n,C] -> table[ids[i]] = x[i]; other rows stay. For the key/value caches of decoding. */
  writeRows: {
    inputs: ['f32', 'i32', 'f32'],
    outputs: ([table, ids, x]) => {
      expectRank('writeRows', 'table', table, 2);
      expectRank('writeRows', 'ids', ids, 1);
      expectShape('writeRows', 'x', x, [ids.shape[0], table.shape[1]]);
      return [];
    },
    indices: [idsOf(1, rowsOf)],
    flops: () => 0,
    mutates: [0],
  },
} satisfies Entries;
