/** @file Definitions of the elementwise kernels. */
import { hash32 } from '../numerics/hash32.ts';
import { sameShape } from '../shape.ts';
import { eachBroadcast } from './broadcast.ts';
import type { CpuKernel, PlainKernel } from './view.ts';

const map =
  (f: (x: number) => number): PlainKernel =>
  ([y], [x]) => {
    for (let i = 0; i < x.data.length; i++) y.data[i] = f(x.data[i]);
  };

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

const dropout: CpuKernel<'dropout'> = ([y], [x], { rate, seed }) => {
  const threshold = rate * 2 ** 32;
  const scale = Math.fround(1 / (1 - rate));
  for (let i = 0; i < x.data.length; i++) y.data[i] = hash32(seed, i) < threshold ? 0 : x.data[i] * scale;
};

/** 2 / sqrt(pi) e^-x^2 (x + 2 x^3 / 3 + 4 x^5 / 15 + ...), whose terms have one sign (Abramowitz & Stegun 7.1.6). 1 from 6 on. */
function erf(x: number): number {
  if (!(Math.abs(x) < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  let [total, term] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) total += term *= (2 * x * x) / (2 * n + 1);
  return ((2 * Math.exp(-x * x)) / Math.sqrt(Math.PI)) * total;
}

/** Stored in an Int32Array, which keeps what is a whole number. */
const truncated = (x: number): number => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x)));

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const swiGlu: CpuKernel<'swiGlu'> = ([y], [a, b]) => {
  for (let i = 0; i < y.data.length; i++) y.data[i] = a.data[i] * sigmoid(a.data[i]) * b.data[i];
};

const swiGluBackward: CpuKernel<'swiGluBackward'> = ([da, db], [a, b, g]) => {
  for (let i = 0; i < g.data.length; i++) {
    // All three are read before anything is written, because da may lie where g does, and db where b does (`aliases`).
    const [ai, bi, gi] = [a.data[i], b.data[i], g.data[i]];
    const s = sigmoid(ai);
    da.data[i] = gi * bi * s * (1 + ai * (1 - s));
    db.data[i] = gi * ai * s;
  }
};

export const elementwiseKernels = {
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
  erf: map(erf),
  toI32: map(truncated),
  toF32: map((x) => x),
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
  notEqual: zip((a, b) => (a === b ? 0 : 1)),
  where,
  swiGlu,
  swiGluBackward,
};
