/**
 * @file @blt-ts/blt: bytes, patches, the Byte Latent Transformer, its training and its decoding.
 */

export * from './checkpoints/bf16-weights.ts';
export * from './checkpoints/config-from-shapes.ts';
export * from './checkpoints/facebook-config.ts';
export * from './checkpoints/for-transformers.ts';
export * from './checkpoints/from-llama.ts';
export * from './checkpoints/huggingface.ts';
export * from './checkpoints/stored-tensors.ts';
export * from './checkpoints/trace.ts';
export * from './decoding/decoder.ts';
export * from './decoding/decoding-flops.ts';
export * from './decoding/generate.ts';
export * from './decoding/sampling.ts';
export * from './errors.ts';
export * from './model/batch.ts';
export * from './model/blt.ts';
export * from './model/checkpoint.ts';
export * from './model/config.ts';
export * from './model/dropout.ts';
export * from './model/entropy-model.ts';
export * from './model/flops.ts';
export * from './model/hashing.ts';
export { crossAttention, feedForward, selfAttention, transformerBlock, transformerStack } from './model/layers.ts';
export * from './model/layout.ts';
export * from './model/parameters.ts';
export * from './model/rope-table.ts';
export * from './patching/boundaries.ts';
export * from './patching/calibrate.ts';
export * from './patching/vocabulary.ts';
export type { Reading } from './readback.ts';
export * from './training/adamw.ts';
export * from './training/data-loader.ts';
export * from './training/evaluation.ts';
export * from './training/metrics.ts';
export * from './training/packing.ts';
export * from './training/plan.ts';
export * from './training/schedule.ts';
export * from './training/session.ts';
export * from './training/training-loop.ts';
export { type Given, loadEntropyModel, type Origin, type PerDocument } from './training/warm-start.ts';
