/** @file Definitions of the kernels on rows of tables and segments of rows. */
import type { CpuKernel } from './view.ts';

const gatherRows: CpuKernel<'gatherRows'> = ([y], [table, ids]) => {
  const C = table.shape[1];
  for (let i = 0; i < ids.data.length; i++) {
    y.data.set(table.data.subarray(ids.data[i] * C, (ids.data[i] + 1) * C), i * C);
  }
};

const scatterAddRows: CpuKernel<'scatterAddRows'> = ([y], [x, ids]) => {
  const C = x.shape[1];
  y.data.fill(0);
  for (let i = 0; i < ids.data.length; i++) {
    for (let c = 0; c < C; c++) y.data[ids.data[i] * C + c] += x.data[i * C + c];
  }
};

const embeddingBag: CpuKernel<'embeddingBag'> = ([y], [table, ids]) => {
  const [n, G] = ids.shape;
  const C = table.shape[1];
  y.data.fill(0);
  for (let i = 0; i < n; i++) {
    for (let g = 0; g < G; g++) {
      const row = ids.data[i * G + g];
      if (row < 0) continue;
      for (let c = 0; c < C; c++) y.data[i * C + c] += table.data[row * C + c];
    }
  }
};

const segmentGatherSum: CpuKernel<'segmentGatherSum'> = ([y], [x, entries, starts]) => {
  const [U, C] = y.shape;
  y.data.fill(0);
  for (let u = 0; u < U; u++) {
    for (let e = starts.data[u]; e < starts.data[u + 1]; e++) {
      for (let c = 0; c < C; c++) y.data[u * C + c] += x.data[entries.data[e] * C + c];
    }
  }
};

const segmentMax: CpuKernel<'segmentMax'> = ([y], [x, starts]) => {
  const [P, C] = y.shape;
  for (let p = 0; p < P; p++) {
    const begin = starts.data[p];
    const end = starts.data[p + 1];
    for (let c = 0; c < C; c++) {
      let best = begin < end ? Number.NEGATIVE_INFINITY : 0;
      for (let i = begin; i < end; i++) best = Math.max(best, x.data[i * C + c]);
      y.data[p * C + c] = best;
    }
  }
};

const segmentMaxBackward: CpuKernel<'segmentMaxBackward'> = ([dx], [x, y, g, starts]) => {
  const [P, C] = y.shape;
  dx.data.fill(0);
  for (let p = 0; p < P; p++) {
    const begin = starts.data[p];
    const end = starts.data[p + 1];
    for (let c = 0; c < C; c++) {
      const best = y.data[p * C + c];
      // A segment with NaN in it has no largest rows: all of them get NaN.
      const wins = (i: number) => x.data[i * C + c] === best || Number.isNaN(best);
      let ties = 0;
      for (let i = begin; i < end; i++) if (wins(i)) ties++;
      const share = Number.isNaN(best) ? best : g.data[p * C + c] / ties;
      for (let i = begin; i < end; i++) if (wins(i)) dx.data[i * C + c] = share;
    }
  }
};

const writeRows: CpuKernel<'writeRows'> = (_, [table, ids, x]) => {
  const C = table.shape[1];
  for (let i = 0; i < ids.data.length; i++) {
    table.data.set(x.data.subarray(i * C, (i + 1) * C), ids.data[i] * C);
  }
};

export const rowsKernels = {
  gatherRows,
  scatterAddRows,
  embeddingBag,
  segmentGatherSum,
  segmentMax,
  segmentMaxBackward,
  writeRows,
};
