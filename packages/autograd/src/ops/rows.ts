/** @file Reading and summing rows: embedding tables and patches. */
import { type Tensor, tensor } from '@blt-ts/tensor';
import { RowSparse } from '../row-sparse.ts';
import { onceOnly, type Rules, reading } from '../rule.ts';
import { apply } from '../tape.ts';

const hostIds = (ids: Tensor): Int32Array => ids.readSync() as Int32Array;

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

/** For each entry between the first start and the last its segment. */
function segmentOfEntry(starts: Int32Array): Int32Array {
  const [begin, end] = [starts[0], starts[starts.length - 1]];
  const of = new Int32Array(end - begin);
  let u = 0;
  for (let e = begin; e < end; e++) {
    // Segments may be empty.
    while (starts[u + 1] <= e) u++;
    of[e - begin] = u;
  }
  return of;
}

const IDS = { ins: [1], outs: false };

export const rowRules: Rules<
  'gatherRows' | 'scatterAddRows' | 'embeddingBag' | 'segmentGatherSum' | 'segmentMax' | 'segmentMaxBackward'
> = {
  gatherRows: reading(IDS, (g, _, [table, ids]) => [
    table.shape[0] > ids.size
      ? new RowSparse(table.shape, [{ ids: hostIds(ids), groups: 1, rows: g }])
      : scatterAddRows(g, ids, table.shape[0]),
    null,
  ]),
  scatterAddRows: reading(IDS, (g, _, [, ids]) => [gatherRows(g, ids), null]),
  embeddingBag: reading(IDS, (g, _, [table, ids]) => [
    new RowSparse(table.shape, [{ ids: hostIds(ids), groups: ids.shape[1], rows: g }]),
    null,
  ]),
  segmentGatherSum: (g, _, [x, entries, starts]) => {
    const { backend } = g;
    const bounds = hostIds(starts);
    const segments = tensor(segmentOfEntry(bounds), undefined, { backend });
    // Entries before the first segment or behind the last were not read.
    const read = hostIds(entries).subarray(bounds[0], bounds[bounds.length - 1]);
    return [scatterAddRows(gatherRows(g, segments), tensor(read, undefined, { backend }), x.shape[0]), null, null];
  },
  segmentMax: (g, [y], [x, starts]) => [apply('segmentMaxBackward', [x, y, g, starts], {}), null],
  segmentMaxBackward: onceOnly('segmentMax', 'max over slices'),
};
