/** @file Definitions of the kernels that work along the last axis. */
import { sizeOf } from '../shape.ts';
import type { CpuKernel, View } from './view.ts';

const last = ({ shape }: View): number => shape[shape.length - 1];
const rowsIn = ({ shape }: View): number => sizeOf(shape.slice(0, -1));

const cumsum: CpuKernel<'cumsum'> = ([y], [x], { reverse }) => {
  const n = last(x);
  for (let r = 0; r < rowsIn(x); r++) {
    let total = 0;
    for (let j = 0; j < n; j++) {
      const at = r * n + (reverse ? n - 1 - j : j);
      total += x.data[at];
      y.data[at] = total;
    }
  }
};

/** Negative if a comes first: smaller numbers before larger ones, NaN behind all. */
const compare = (a: number, b: number): number =>
  a < b ? -1 : a > b ? 1 : Number(Number.isNaN(a)) - Number(Number.isNaN(b));

const argsort: CpuKernel<'argsort'> = ([y], [x], { descending, count }) => {
  const n = last(x);
  for (let r = 0; r < rowsIn(x); r++) {
    const row = x.data.subarray(r * n, (r + 1) * n);
    const order = Array.from(row, (_, i) => i);
    order.sort((i, j) => (descending ? compare(row[j], row[i]) : compare(row[i], row[j])) || i - j);
    y.data.set(order.slice(0, count), r * count);
  }
};

const gatherAxis: CpuKernel<'gatherAxis'> = ([y], [x, ids]) => {
  const [n, m] = [last(x), last(ids)];
  for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[Math.floor(i / m) * n + ids.data[i]];
};

const scatterAddAxis: CpuKernel<'scatterAddAxis'> = ([y], [x, ids], { size }) => {
  const m = last(ids);
  y.data.fill(0);
  for (let i = 0; i < x.data.length; i++) y.data[Math.floor(i / m) * size + ids.data[i]] += x.data[i];
};

export const axisKernels = { cumsum, argsort, gatherAxis, scatterAddAxis };
