/**
 * @file @blt-ts/autograd: differentiable operations, the tape, and the table of rules.
 */
export * as composed from './composed.ts';
export { type GradOptions, grad, type Loss, stopGradient, valueAndGrad } from './grad.ts';
export { type GradcheckOptions, gradcheck } from './gradcheck.ts';
export * from './ops/elementwise.ts';
export { linear, type MatmulOptions, matmul } from './ops/matmul.ts';
export {
  crossEntropy,
  type IntervalBounds,
  intervalAttention,
  logSoftmax,
  type RopeTable,
  rmsNorm,
  rope,
  softmax,
  swiGlu,
} from './ops/network.ts';
export { max, mean, type ReduceOptions, sum, sumSquares, unbroadcast } from './ops/reduce.ts';
export { embeddingBag, gatherRows, scatterAddRows, segmentGatherSum, segmentMax } from './ops/rows.ts';
export { broadcastTo, concat, pad, reshape, slice, transpose } from './ops/shape.ts';
export { RowSparse } from './row-sparse.ts';
export type { Cotangent, Rule, Rules } from './rule.ts';
export { rules } from './rules.ts';
export { apply, applyAll, recompute } from './tape.ts';
export { leaves, mapTree, type Tree, type TreeOf } from './tree.ts';
