/** @file The module's exports: kernels by chapter, then the machinery. */
export { binary, unary, where } from './elementwise/kernels';
export { swiGlu, swiGluBackward } from './elementwise/swiglu';
export { dropout } from './elementwise/dropout';
export { maxLast, maxMiddle, sumChunks, sumLast, sumMiddle, sumPartials, variance } from './reduce';
export { copyPieces, fillZero, transpose } from './shape';
export { argsort, cumsum, gatherAxis, scatterAddAxis } from './axis';
export { matmul } from './matmul/kernel';
export { matmulBf16, widenBf16 } from './matmul/bf16';
export {
  embeddingBag, gatherRows, scatterAddRows, segmentGatherSum, segmentMax, segmentMaxBackward, writeRows,
} from './rows';
export { crossEntropy, crossEntropyBackward, logSoftmax, softmax } from './softmax';
export { rmsNorm, rmsNormBackward, sumPartialRows } from './norm';
export { rope } from './rope';
export { intervalAttention } from './attention/forward';
export { invariantAttention } from './attention/invariant';
export { findSegments, intervalAttentionBackward } from './attention/backward';
export { adamw, adamwCatchUp, adamwRows, lerp } from './optimizer';
export { ceiling } from './matmul/tile-4x8';
export { setScratch, takeUnit } from './core/call';
export {
  awaitJob, finishJob, jobPieces, joinJob, postJob, takeFailures, wakeWorkers, workerReady, workersAsleep, workersReady,
} from './core/pool';
