/**
 * @file @blt-ts/autograd: differentiable operations, reverse-mode gradients of any order, and the table of gradient rules.
 */
export * as composed from './composed.ts';
export {
  type DefinedOp,
  defineOp,
  type OpDefinition,
  type OwnGpu,
  type OwnKernel,
  type OwnVjpContext,
  type OwnWasm,
} from './define-op.ts';
export { type GradOptions, grad, type Loss, valueAndGrad } from './grad.ts';
export { type GradcheckOptions, gradcheck } from './gradcheck.ts';
export { hessian, jacobian } from './jacobian.ts';
export { elu, gelu, leakyRelu, logSigmoid, softplus } from './library/activations.ts';
export {
  avgPool1d,
  avgPool2d,
  type ConvOptions,
  conv1d,
  conv2d,
  maxPool1d,
  maxPool2d,
  type PoolOptions,
} from './library/conv.ts';
export { arange, eye, linspace, oneHot, tril, triu } from './library/create.ts';
export { at, type Index, type PadOptions, pad, stridedSlice } from './library/indexing.ts';
export { dot, einsum, outer } from './library/linear.ts';
export {
  all,
  allclose,
  any,
  greaterEqual,
  less,
  lessEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
} from './library/logic.ts';
export { clip, expm1, log1p, pow } from './library/math.ts';
export { layerNorm } from './library/norm.ts';
export { randomIntegers, randomNormal, randomPermutation, randomUniform } from './library/random.ts';
export { argmax, argmin, logsumexp, min, norm, prod, std, type VarianceOptions, variance } from './library/reduce.ts';
export { flatten, flip, moveaxis, repeat, split, squeeze, stack, swapaxes, tile, unsqueeze } from './library/shape.ts';
export { type IntervalBounds, intervalAttention } from './ops/attention.ts';
export { argsort, cumsum, gather, type SortOptions, scatterAdd, sort, take, topk } from './ops/axis.ts';
export {
  abs,
  add,
  affine,
  cast,
  cos,
  div,
  dropout,
  equal,
  erf,
  exp,
  greater,
  log,
  maximum,
  minimum,
  mul,
  neg,
  notEqual,
  type Operand,
  reciprocal,
  relu,
  sigmoid,
  sign,
  silu,
  sin,
  sqrt,
  square,
  sub,
  swiGlu,
  tanh,
  where,
} from './ops/elementwise.ts';
export { linear, type MatmulOptions, matmul } from './ops/matmul.ts';
export { rmsNorm } from './ops/norm.ts';
export { max, mean, meanSquaredError, type ReduceOptions, sum, sumSquares, unbroadcast } from './ops/reduce.ts';
export { type RopeTable, rope } from './ops/rope.ts';
export { ropeTable } from './ops/rope-table.ts';
export { embeddingBag, gatherRows, scatterAddRows, segmentGatherSum, segmentMax } from './ops/rows.ts';
export { broadcastTo, concat, reshape, slice, transpose } from './ops/shape.ts';
export { crossEntropy, logSoftmax, softmax } from './ops/softmax.ts';
export { checkpoint, recompute } from './remat.ts';
export { type Cotangent, RowSparse } from './row-sparse.ts';
export { type Fused, type Rule, type Rules, rules, type VjpContext } from './rules.ts';
export { type LoadOptions, loadSafetensors, saveSafetensors } from './safetensors.ts';
export { apply, applyAll, type Reads, stopGradient } from './tape.ts';
export { leaves, mapTree, type Tree, type TreeOf, treeFromNames, treeMap } from './tree.ts';
export { hvp, jvp, treeDot, vjp } from './vjp.ts';
