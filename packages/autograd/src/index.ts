/**
 * @file @blt-ts/autograd: differentiable operations, reverse-mode gradients of any order, and the table of gradient rules.
 */
export * as composed from './composed.ts';
export { type GradOptions, grad, type Loss, valueAndGrad } from './grad.ts';
export { type GradcheckOptions, gradcheck } from './gradcheck.ts';
export { hessian, jacobian } from './jacobian.ts';
export { type IntervalBounds, intervalAttention } from './ops/attention.ts';
export {
  abs,
  add,
  affine,
  cos,
  div,
  dropout,
  equal,
  exp,
  greater,
  log,
  maximum,
  minimum,
  mul,
  neg,
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
export { broadcastTo, concat, pad, reshape, slice, transpose } from './ops/shape.ts';
export { crossEntropy, logSoftmax, softmax } from './ops/softmax.ts';
export { checkpoint, recompute } from './remat.ts';
export { type Cotangent, RowSparse } from './row-sparse.ts';
export { type Fused, type Rule, type Rules, rules, type VjpContext } from './rules.ts';
export { type LoadOptions, loadSafetensors, saveSafetensors } from './safetensors.ts';
export { apply, applyAll, stopGradient } from './tape.ts';
export { leaves, mapTree, type Tree, type TreeOf, treeFromNames, treeMap } from './tree.ts';
export { hvp, jvp, treeDot, vjp } from './vjp.ts';
export { type VmapOptions, vmap } from './vmap.ts';
