/** @file Definitions of the reductions. */
import { eachBroadcast } from './broadcast.ts';
import type { CpuKernel, View } from './view.ts';

/** Visits every element of x with the offset of the output element it is reduced into. */
function eachReduced(x: View, y: View, visit: (ix: number, iy: number) => void): void {
  eachBroadcast(x.shape, [y.shape], (i, [iy]) => visit(i, iy));
}

/** Sums are kept in 64 bits and rounded once. */
const sum: CpuKernel<'sum'> = ([y], [x]) => {
  const total = new Float64Array(y.data.length);
  eachReduced(x, y, (ix, iy) => {
    total[iy] += x.data[ix];
  });
  y.data.set(total);
};

const max: CpuKernel<'max'> = ([y], [x]) => {
  y.data.fill(Number.NEGATIVE_INFINITY);
  eachReduced(x, y, (ix, iy) => {
    y.data[iy] = Math.max(y.data[iy], x.data[ix]);
  });
};

const sumSquares: CpuKernel<'sumSquares'> = ([y], [x]) => {
  let total = 0;
  for (let i = 0; i < x.data.length; i++) total += x.data[i] * x.data[i];
  y.data[0] = total;
};

const variance: CpuKernel<'variance'> = ([y], [x], { correction }) => {
  const n = x.shape.at(-1)!;
  for (let i = 0; i < y.data.length; i++) {
    let [total, squares] = [0, 0];
    for (let c = 0; c < n; c++) total += x.data[i * n + c];
    for (let c = 0; c < n; c++) squares += (x.data[i * n + c] - total / n) ** 2;
    y.data[i] = squares / Math.max(0, n - correction);
  }
};

export const reduceKernels = { sum, max, sumSquares, variance };
