/** @file The module's exports. */
export { intervalAttention } from './attention';
export { findSegments, intervalAttentionBackward } from './attention-backward';
export { setScratch, takeUnit } from './call';
export { binary, dropout, swiGlu, swiGluBackward, unary } from './elementwise';
export { matmul } from './gemm';
export { matmulBf16, widenBf16 } from './gemm-bf16';
export { ceiling } from './gemm-tile';
export { rmsNorm, rmsNormBackward, rope } from './norm';
export { adamw, adamwCatchUp, adamwRows, lerp } from './optimizer';
export {
  copyPieces, embeddingBag, gatherRows, scatterAddRows, segmentGatherSum, segmentMax, segmentMaxBackward, transpose,
  writeRows,
} from './rows';
export { crossEntropy, crossEntropyBackward, logSoftmax, softmax } from './softmax';
export { sumChunks, sumLast, sumMiddle, sumPartialRows, sumPartials } from './sum';
export { awaitJob, finishJob, jobPieces, joinJob, postJob, takeFailures, workerReady, workersAsleep, workersReady } from './pool';
