/**
 * @file @blt-ts/blt: bytes, patches, the Byte Latent Transformer, its training and its decoding.
 */
export * from './batch.ts';
export * from './calibrate.ts';
export * from './config.ts';
export * from './config-from-shapes.ts';
export * from './decoding/decoder.ts';
export * from './decoding/decoding-flops.ts';
export * from './entropy-model.ts';
export * from './evaluation.ts';
export * from './facebook-config.ts';
export * from './flops.ts';
export * from './for-transformers.ts';
export * from './generate.ts';
export { type Given, loadEntropyModel, type Origin, type PerDocument } from './given.ts';
export * from './hashing.ts';
export * from './huggingface.ts';
export * from './init-global.ts';
export { crossAttention, feedForward, selfAttention, transformerBlock, transformerStack } from './layers.ts';
export * from './layout.ts';
export * from './metrics.ts';
export * from './model.ts';
export * from './narrow-weights.ts';
export * from './optimizer.ts';
export * from './packing.ts';
export * from './parameters.ts';
export * from './patching.ts';
export * from './presets.ts';
export type { Reading } from './reading.ts';
export * from './regularization.ts';
export * from './rows.ts';
export * from './sampling.ts';
export * from './schedule.ts';
export * from './session.ts';
export * from './stored-tensors.ts';
export * from './trace.ts';
export * from './training-loop.ts';
export * from './vocabulary.ts';
