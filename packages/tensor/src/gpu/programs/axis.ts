/** @file How the kernels along the last axis run on the device. */
import { cellOf, rowSizes, rows } from '../calls.ts';
import * as kernels from '../kernels/axis.ts';
import type { Program } from './program.ts';

const cumsum: Program<'cumsum'> = (calls, [y], [x], { reverse }) => {
  const [lines, n] = rowSizes(x);
  calls.into(cellOf(y), reverse ? kernels.cumsumReverse : kernels.cumsumForward, rows(n, lines), [cellOf(x)], [n]);
};

const argsort: Program<'argsort'> = (calls, [y], [x], { descending, count }) => {
  const [lines, n] = rowSizes(x);
  if (count * lines === 0) return;
  const rank = descending ? kernels.rankDescending : kernels.rankAscending;
  const ranks = calls.make(rank, rows(n, lines), [cellOf(x)], [n]);
  calls.into(cellOf(y), kernels.positionOfRank, rows(count, lines), [ranks], [n]);
};

export const axisPrograms = {
  cumsum,
  argsort,
  gatherAxis: ((calls, [y], [x, ids]) => {
    const [lines, m] = rowSizes(ids);
    calls.into(
      cellOf(y),
      kernels.gatherAxis,
      rows(m, lines),
      [cellOf(x), cellOf(ids)],
      [x.shape[x.shape.length - 1], m],
    );
  }) as Program<'gatherAxis'>,
  scatterAddAxis: ((calls, [y], [x, ids]) => {
    const [lines, n] = rowSizes(y);
    const [, m] = rowSizes(ids);
    if (m === 0) return calls.fill(cellOf(y), 0);
    calls.into(cellOf(y), kernels.scatterAddAxis, rows(n, lines), [cellOf(x), cellOf(ids)], [m]);
  }) as Program<'scatterAddAxis'>,
};
