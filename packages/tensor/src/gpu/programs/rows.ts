/** @file How kernels on rows of tables and segments of rows run on the device. */
import type { Operand } from '../../backend.ts';
import { sizeOf } from '../../shape.ts';
import { type Calls, cellOf, rows } from '../calls.ts';
import { type Cell, hostValues } from '../cell.ts';
import * as kernels from '../kernels/rows.ts';
import type { Program } from './program.ts';

/** Rows of a table replaced in place where the device can copy into it, else by a pass over the table. */
export function putRows(calls: Calls, table: Operand, part: Cell, ids: Int32Array): void {
  const [V, C] = table.shape;
  const { queue } = calls;
  if (queue.driver.putRows) {
    queue.putRows(cellOf(table), part, ids, C);
    return;
  }
  const places = new Float32Array(V).fill(-1);
  ids.forEach((id, u) => {
    places[id] = u;
  });
  calls.into(cellOf(table), kernels.putRows, rows(C, V), [cellOf(table), part, calls.upload(places)], [C]);
}

/** Positions of each id, and where those of one id begin: ids [n] -> entries [n], starts [rows + 1]. */
function sortedPlaces(ids: Int32Array, count: number): { entries: Int32Array; starts: Int32Array } {
  const starts = new Int32Array(count + 1);
  for (const id of ids) starts[id + 1]++;
  for (let r = 0; r < count; r++) starts[r + 1] += starts[r];
  const next = starts.slice();
  const entries = new Int32Array(ids.length);
  ids.forEach((id, i) => {
    entries[next[id]++] = i;
  });
  return { entries, starts };
}

const scatterAddRows: Program<'scatterAddRows'> = (calls, [y], [x, ids], { rows: count }) => {
  const C = x.shape[1];
  if (x.shape[0] === 0) return calls.fill(cellOf(y), 0);
  const of = cellOf(ids);
  const entries = calls.table(of, `entries ${count}`, (host) => sortedPlaces(host, count).entries);
  const starts = calls.table(of, `starts ${count}`, (host) => sortedPlaces(host, count).starts);
  calls.into(cellOf(y), kernels.segmentGatherSum, rows(C, count), [cellOf(x), entries, starts], [C]);
};

/** For each of n rows its segment, or -1. */
function segmentOfRow(starts: Int32Array, n: number): Int32Array {
  const of = new Int32Array(n).fill(-1);
  for (let p = 0; p + 1 < starts.length; p++) of.fill(p, starts[p], Math.max(starts[p], starts[p + 1]));
  return of;
}

const segmentMaxBackward: Program<'segmentMaxBackward'> = (calls, [dx], [x, peaks, g, starts]) => {
  const [n, C] = x.shape;
  const [P] = peaks.shape;
  if (P === 0) return calls.fill(cellOf(dx), 0);
  const ties = calls.make(kernels.segmentTies, rows(C, P), [cellOf(x), cellOf(peaks), cellOf(starts)], [C]);
  const segment = calls.table(cellOf(starts), `segment of ${n}`, (host) => segmentOfRow(host, n));
  const arrays = [cellOf(x), cellOf(peaks), cellOf(g), ties, segment];
  calls.into(cellOf(dx), kernels.segmentMaxBackward, rows(C, n), arrays, [C]);
};

export const rowsPrograms = {
  gatherRows: ((calls, [y], [table, ids]) => {
    const [n, C] = y.shape;
    calls.into(cellOf(y), kernels.gatherRows, rows(C, n), [cellOf(table), cellOf(ids)], [C]);
  }) as Program<'gatherRows'>,
  scatterAddRows,
  embeddingBag: ((calls, [y], [table, ids]) => {
    const [n, C] = y.shape;
    calls.into(cellOf(y), kernels.embeddingBag, rows(C, n), [cellOf(table), cellOf(ids)], [C, ids.shape[1]]);
  }) as Program<'embeddingBag'>,
  segmentGatherSum: ((calls, [y], [x, entries, starts]) => {
    const [U, C] = y.shape;
    calls.into(cellOf(y), kernels.segmentGatherSum, rows(C, U), [x, entries, starts].map(cellOf), [C]);
  }) as Program<'segmentGatherSum'>,
  segmentMax: ((calls, [y], [x, starts]) => {
    const [P, C] = y.shape;
    calls.into(cellOf(y), kernels.segmentMax, rows(C, P), [cellOf(x), cellOf(starts)], [C]);
  }) as Program<'segmentMax'>,
  segmentMaxBackward,
  writeRows: ((calls, _, [table, ids, x]) => {
    if (sizeOf(x.shape) > 0) putRows(calls, table, cellOf(x), hostValues(cellOf(ids)));
  }) as Program<'writeRows'>,
};
