/** @file Definitions of the kernels that move elements. */
import { sizeOf, stridesOf } from '../shape.ts';
import { eachBroadcast } from './broadcast.ts';
import type { CpuKernel, View } from './view.ts';

/** y[index] = x[offset + index . strides] for every index of y. */
function copyStrided(y: View, x: View, offset: number, strides: readonly number[]): void {
  const index = y.shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < y.data.length; i++) {
    y.data[i] = x.data[at];
    for (let axis = y.shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < y.shape[axis]) break;
      at -= strides[axis] * y.shape[axis];
      index[axis] = 0;
    }
  }
}

const transpose: CpuKernel<'transpose'> = ([y], [x], { perm }) => {
  const strides = stridesOf(x.shape);
  const permuted = perm.map((p) => strides[p]);
  copyStrided(y, x, 0, permuted);
};

const broadcastTo: CpuKernel<'broadcastTo'> = ([y], [x]) => {
  eachBroadcast(y.shape, [x.shape], (i, [ix]) => {
    y.data[i] = x.data[ix];
  });
};

const slice: CpuKernel<'slice'> = ([y], [x], { begin }) => {
  const strides = stridesOf(x.shape);
  const from = begin.reduce((sum, b, i) => sum + b * strides[i], 0);
  copyStrided(y, x, from, strides);
};

const pad: CpuKernel<'pad'> = ([y], [x], { before }) => {
  const strides = stridesOf(y.shape);
  const index = x.shape.map(() => 0);
  y.data.fill(0);
  let at = before.reduce((sum, b, i) => sum + b * strides[i], 0);
  for (let i = 0; i < x.data.length; i++) {
    y.data[at] = x.data[i];
    for (let axis = x.shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < x.shape[axis]) break;
      at -= strides[axis] * x.shape[axis];
      index[axis] = 0;
    }
  }
};

const concat: CpuKernel<'concat'> = ([y], ins, { axis }) => {
  const outer = sizeOf(y.shape.slice(0, axis));
  const row = sizeOf(y.shape.slice(axis));
  let column = 0;
  for (const x of ins) {
    const chunk = sizeOf(x.shape.slice(axis));
    for (let o = 0; o < outer; o++) y.data.set(x.data.subarray(o * chunk, (o + 1) * chunk), o * row + column);
    column += chunk;
  }
};

const reshape: CpuKernel<'reshape'> = () => {
  throw new Error('reshape moves no data and is never run');
};

export const shapeKernels = { reshape, transpose, broadcastTo, slice, pad, concat };
