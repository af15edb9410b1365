import { hash32 } from '../random.ts';
import { type Shape, sameShape, stridesOf } from '../shape.ts';
import type { CpuKernel, PlainKernel, View } from './view.ts';

const map =
  (f: (x: number) => number): PlainKernel =>
  ([y], [x]) => {
    for (let i = 0; i < x.data.length; i++) y.data[i] = f(x.data[i]);
  };

/** Strides for reading `shape` as if it were `out`: 0 along axes it repeats. */
function broadcastStrides(shape: Shape, out: Shape): number[] {
  const own = stridesOf(shape);
  const lead = out.length - shape.length;
  return out.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : own[i - lead]));
}

/** Calls `visit(i, offsets)` for every element i of `out`, with the matching offset in each input. */
function eachBroadcast(out: Shape, shapes: readonly Shape[], visit: (i: number, offsets: number[]) => void): void {
  const strides = shapes.map((s) => broadcastStrides(s, out));
  const index = out.map(() => 0);
  const offsets = shapes.map(() => 0);
  const n = out.reduce((a, b) => a * b, 1);
  for (let i = 0; i < n; i++) {
    visit(i, offsets);
    for (let axis = out.length - 1; axis >= 0; axis--) {
      index[axis]++;
      for (let t = 0; t < shapes.length; t++) offsets[t] += strides[t][axis];
      if (index[axis] < out[axis]) break;
      for (let t = 0; t < shapes.length; t++) offsets[t] -= strides[t][axis] * out[axis];
      index[axis] = 0;
    }
  }
}

const zip =
  (f: (a: number, b: number) => number): PlainKernel =>
  ([y], [a, b]) => {
    if (sameShape(a.shape, b.shape)) {
      for (let i = 0; i < y.data.length; i++) y.data[i] = f(a.data[i], b.data[i]);
      return;
    }
    eachBroadcast(y.shape, [a.shape, b.shape], (i, [ia, ib]) => {
      y.data[i] = f(a.data[ia], b.data[ib]);
    });
  };

const where: CpuKernel<'where'> = ([y], [cond, a, b]) => {
  eachBroadcast(y.shape, [cond.shape, a.shape, b.shape], (i, [ic, ia, ib]) => {
    y.data[i] = cond.data[ic] !== 0 ? a.data[ia] : b.data[ib];
  });
};

const broadcastTo: CpuKernel<'broadcastTo'> = ([y], [x]) => {
  eachBroadcast(y.shape, [x.shape], (i, [ix]) => {
    y.data[i] = x.data[ix];
  });
};

const dropout: CpuKernel<'dropout'> = ([y], [x], { rate, seed }) => {
  const threshold = rate * 2 ** 32;
  const scale = Math.fround(1 / (1 - rate));
  for (let i = 0; i < x.data.length; i++) y.data[i] = hash32(seed, i) < threshold ? 0 : x.data[i] * scale;
};

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

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const elementwise = {
  neg: map((x) => -x),
  exp: map(Math.exp),
  log: map(Math.log),
  sqrt: map(Math.sqrt),
  reciprocal: map((x) => 1 / x),
  sin: map(Math.sin),
  cos: map(Math.cos),
  tanh: map(Math.tanh),
  sigmoid: map(sigmoid),
  abs: map(Math.abs),
  sign: map(Math.sign),
  affine: (([y], [x], { scale, shift }) => {
    for (let i = 0; i < x.data.length; i++) y.data[i] = x.data[i] * scale + shift;
  }) as CpuKernel<'affine'>,
  dropout,
  add: zip((a, b) => a + b),
  sub: zip((a, b) => a - b),
  mul: zip((a, b) => a * b),
  div: zip((a, b) => a / b),
  maximum: zip(Math.max),
  minimum: zip(Math.min),
  greater: zip((a, b) => (a > b ? 1 : 0)),
  equal: zip((a, b) => (a === b ? 1 : 0)),
  where,
  broadcastTo,
  sum,
  max,
  sumSquares,
};
