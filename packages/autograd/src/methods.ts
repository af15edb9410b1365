/**
 * @file Importing this file gives tensors methods: `x.matmul(w).add(b).relu()`. Each is the operation of its name with the tensor as its
 * first argument. The package does not import it itself, so whoever does without methods gets none of them in a bundle.
 */
import { Tensor } from '@blt-ts/tensor';
import * as ag from './index.ts';

/** The operations that are methods too, by name. */
export const methods = {
  // elementwise
  neg: ag.neg,
  exp: ag.exp,
  log: ag.log,
  sqrt: ag.sqrt,
  reciprocal: ag.reciprocal,
  sin: ag.sin,
  cos: ag.cos,
  tanh: ag.tanh,
  sigmoid: ag.sigmoid,
  abs: ag.abs,
  sign: ag.sign,
  square: ag.square,
  silu: ag.silu,
  relu: ag.relu,
  erf: ag.erf,
  gelu: ag.gelu,
  elu: ag.elu,
  leakyRelu: ag.leakyRelu,
  softplus: ag.softplus,
  logSigmoid: ag.logSigmoid,
  expm1: ag.expm1,
  log1p: ag.log1p,
  clip: ag.clip,
  cast: ag.cast,
  dropout: ag.dropout,
  affine: ag.affine,
  // two operands
  add: ag.add,
  sub: ag.sub,
  mul: ag.mul,
  div: ag.div,
  pow: ag.pow,
  maximum: ag.maximum,
  minimum: ag.minimum,
  matmul: ag.matmul,
  linear: ag.linear,
  dot: ag.dot,
  outer: ag.outer,
  // comparisons and logic
  greater: ag.greater,
  greaterEqual: ag.greaterEqual,
  less: ag.less,
  lessEqual: ag.lessEqual,
  equal: ag.equal,
  notEqual: ag.notEqual,
  logicalAnd: ag.logicalAnd,
  logicalOr: ag.logicalOr,
  logicalNot: ag.logicalNot,
  where: ag.where,
  all: ag.all,
  any: ag.any,
  // reductions
  sum: ag.sum,
  mean: ag.mean,
  max: ag.max,
  min: ag.min,
  prod: ag.prod,
  variance: ag.variance,
  std: ag.std,
  norm: ag.norm,
  logsumexp: ag.logsumexp,
  argmax: ag.argmax,
  argmin: ag.argmin,
  cumsum: ag.cumsum,
  // shape
  reshape: ag.reshape,
  transpose: ag.transpose,
  broadcastTo: ag.broadcastTo,
  slice: ag.slice,
  pad: ag.pad,
  squeeze: ag.squeeze,
  unsqueeze: ag.unsqueeze,
  flatten: ag.flatten,
  moveaxis: ag.moveaxis,
  swapaxes: ag.swapaxes,
  split: ag.split,
  flip: ag.flip,
  tile: ag.tile,
  repeat: ag.repeat,
  at: ag.at,
  stridedSlice: ag.stridedSlice,
  tril: ag.tril,
  triu: ag.triu,
  // order and positions
  sort: ag.sort,
  argsort: ag.argsort,
  topk: ag.topk,
  gather: ag.gather,
  take: ag.take,
  gatherRows: ag.gatherRows,
  oneHot: ag.oneHot,
  // layers
  softmax: ag.softmax,
  logSoftmax: ag.logSoftmax,
  crossEntropy: ag.crossEntropy,
  layerNorm: ag.layerNorm,
  rmsNorm: ag.rmsNorm,
  conv1d: ag.conv1d,
  conv2d: ag.conv2d,
  maxPool1d: ag.maxPool1d,
  maxPool2d: ag.maxPool2d,
  avgPool1d: ag.avgPool1d,
  avgPool2d: ag.avgPool2d,
  stopGradient: ag.stopGradient,
};

type AsMethod<F> = F extends (x: Tensor, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never;

/** The operations with the tensor in front: `add(x, y)` as `x.add(y)`. */
export type TensorMethods = { [Name in keyof typeof methods]: AsMethod<(typeof methods)[Name]> };

declare module '@blt-ts/tensor' {
  interface Tensor extends TensorMethods {}
}

for (const [name, operation] of Object.entries(methods) as [string, (...args: unknown[]) => unknown][]) {
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Tensor, ...rest: unknown[]) {
      // biome-ignore lint/plugin: the parameters of one function
      return operation(this, ...rest);
    },
  });
}
