/** @file @blt-ts/blt: bytes, patches, the Byte Latent Transformer, its training and its decoding. */

// Errors

export { ArchiveError, ConfigError, NonFiniteError, TooManyPatchesError, WorkerError } from './errors.ts';

// Bytes and patches

export {
  type BoundaryRule,
  boundaryRule,
  modelPatchLengths,
  type PatchingOptions,
  patchLengths,
  segmentLengths,
  splitFirstPatch,
  splitLongPatches,
} from './patching/boundaries.ts';
export { type Calibration, type CalibrationOptions, calibrateThreshold, meanPatchSize } from './patching/calibrate.ts';
export {
  BOE,
  BOS,
  BPE,
  BYTE_OFFSET,
  countBytes,
  type DecodeOptions,
  decode,
  decodeBytes,
  type EncodeOptions,
  EOS,
  encode,
  VOCAB_SIZE,
} from './patching/vocabulary.ts';

// Configuration and parameters

export type { Checkpoint } from './model/checkpoint.ts';
export {
  type Behaviour,
  type BltConfig,
  feedForwardWidth,
  type HashConfig,
  type LocalConfig,
  layoutOptions,
  longestText,
  surelyRead,
  type TransformerConfig,
  transformerConfig,
  validateConfig,
} from './model/config.ts';
export {
  type AttentionParams,
  type BlockParams,
  type BltParams,
  bltPlan,
  type CrossAttentionParams,
  copyParameters,
  countParameters,
  countValues,
  type EntropyModelParams,
  entropyModelPlan,
  type FeedForwardParams,
  type GlobalTransformerParams,
  initParameters,
  type LocalDecoderParams,
  type LocalEncoderParams,
  type ParameterPlan,
  parametersOn,
  type Weight,
} from './model/parameters.ts';

// The model

export { ropeTable, treeFromNames } from '@blt-ts/autograd';
export {
  type BatchOptions,
  type BltBatch,
  type ByteBatch,
  bltBatch,
  byteBatch,
  type StackContext,
} from './model/batch.ts';
export { bltLogits, bltLosses, embedBytes, globalTransformer, localDecoder, localEncoder } from './model/blt.ts';
export { Dropout, type DropoutRates, NO_DROPOUT } from './model/dropout.ts';
export {
  entropyModelLogits,
  entropyOfLogits,
  type ScoringOptions,
  scoreEntropies,
  scoreEntropiesAsync,
} from './model/entropy-model.ts';
export {
  type AddedFlops,
  type BltFlops,
  type BltSize,
  bltFlops,
  type ExecutedFlops,
  executedFlops,
  type TransformerSize,
  transformerFlops,
} from './model/flops.ts';
export { type HashOptions, hashNgrams } from './model/hashing.ts';
export {
  type AttentionCache,
  crossAttention,
  feedForward,
  type KeysAndValues,
  selfAttention,
  transformerBlock,
  transformerStack,
} from './model/layers.ts';
export {
  type ByteLayout,
  type ByteLayoutOptions,
  buildLayout,
  byteLayout,
  type Interval,
  type Layout,
  type LayoutOptions,
  type PatchedRow,
} from './model/layout.ts';

// Decoding

export {
  type BatchText,
  ContinuousBatch,
  type ContinuousBatchOptions,
  type DrawnByte,
} from './decoding/continuous-batch.ts';
export { Decoder, type DecoderOptions, type HashRows } from './decoding/decoder.ts';
export { type DecodingFlops, type DecodingLoad, decodingFlops } from './decoding/decoding-flops.ts';
export {
  type GenerateCounts,
  type GenerateOptions,
  generate,
  generateAsync,
  nextByteLogits,
  nextByteLogitsAsync,
} from './decoding/generate.ts';
export { type BatchByte, generateBatch, generateBatchAsync } from './decoding/generate-batch.ts';
export type { TextOptions } from './decoding/growing-text.ts';
export { argmax, type SamplingOptions, sampleLogits, validateSampling } from './decoding/sampling.ts';
export type { WithReadback } from './readback.ts';

// A memory beside the model

export {
  learningMemory,
  learnMemory,
  type MemoryProgress,
  MOST_TEXT_BYTES,
  rememberedText,
  studiedBytes,
} from './memory/learn-memory.ts';
export { MemoryMixture, type MixedLosses, NOT_SCORED } from './memory/memory-mixture.ts';
export {
  type HeldOutGain,
  memoryFileWithGain,
  memoryFromSafetensors,
  memoryToSafetensors,
  type SavedMemory,
} from './memory/saved-memory.ts';
export { TextMemory } from './memory/text-memory.ts';

// Compression

export { type Archive, type ArchiveHeader, readArchive, readArchives } from './compression/archive-format.ts';
export { type CodingMemory, type CodingModel, codingMemory, codingModel } from './compression/coding-model.ts';
export {
  type CompressOptions,
  compress,
  compressing,
  decompress,
  decompressing,
  type StreamLayout,
  streamLayout,
} from './compression/compress.ts';
export { packModel, unpackModel } from './compression/packed-model.ts';
export { codeStreams, type StreamRunner, type StreamWork } from './compression/streams.ts';

// Training: the whole run

export { planRun } from './training/plan.ts';
export { type TimedSteps, timedSteps } from './training/planned-steps.ts';
export type { Corpus, MarkedCorpus, RunPlan } from './training/run-plan.ts';
export { Session } from './training/session.ts';
export type { Phase, SessionEvent } from './training/session-events.ts';
export type { LazySessionState, SessionState } from './training/session-state.ts';
export { type RunOptions, SIZES, type Size } from './training/sizes.ts';
export {
  loadEntropyModel,
  type PerDocument,
  type Precomputed,
  type Pretrained,
  type WarmStart,
  type WeightSource,
} from './training/warm-start.ts';

// Chats

export {
  type AnsweredText,
  answeredIds,
  CHAT_END,
  CHAT_HEADING,
  type ChatMessage,
  chatPrompt,
  chatText,
  completionText,
} from './chat/chat-template.ts';

// Training: its parts

export { ADAMW_DEFAULTS, AdamW, type AdamWOptions, type AdamWState } from './optim/adamw.ts';
export type { MuonPart } from './optim/adamw-with-muon.ts';
export { addGradients, clipFactor, coalesce, type Gradient, gradientLeaves } from './optim/gradients.ts';
export type { ParameterGroup } from './optim/parameter-groups.ts';
export { learningRateMultiplier, type Schedule, type ScheduleOptions } from './optim/schedule.ts';
export { countedBytes, countedLoss, countedTargets, type Predicting } from './training/counted.ts';
export {
  type ByteRow,
  byteRows,
  type DataCursor,
  EpochLoader,
  patchRows,
  type RowLoader,
} from './training/data-loader.ts';
export { type Evaluation, evaluateBlt, evaluateEntropyModel, type Progress } from './training/evaluation.ts';
export {
  type EvaluatedDocument,
  type EvaluationRow,
  type EvaluationRowsOptions,
  evaluationRows,
  heldOutRows,
} from './training/evaluation-rows.ts';
export { type EvaluationWithMemory, evaluateWithMemory } from './training/evaluation-with-memory.ts';
export type { LoopOptions, SpikeOptions, StepReport } from './training/loop-options.ts';
export { type LazyArray, type LazyLoopState, type LoopState, lazyArray } from './training/loop-state.ts';
export { bitsPerByte, entropyNats, natsToBits } from './training/metrics.ts';
export { bytesOfMixture, MixtureLoader } from './training/mixture-loader.ts';
export type { Task } from './training/one-pass.ts';
export {
  type PackPatchesOptions,
  type PatchedDocument,
  packPatches,
  type RowLimits,
  rowLimits,
  type TrainingRow,
} from './training/packing.ts';
export { type PassPort, servePasses } from './training/pass-worker.ts';
export { PassWorkers, type WorkerThread } from './training/pass-workers.ts';
export { type ScoredText, type ScoreOptions, scoreTexts, totalBits } from './training/score.ts';
export type { TaskName } from './training/tasks.ts';
export { TrainingLoop } from './training/training-loop.ts';
export { WeightAverage } from './training/weight-average.ts';

// Checkpoints of other programs, and files

export { storeMatricesAsBf16, type WeightFormat } from './checkpoints/bf16-weights.ts';
export { configFromShapes } from './checkpoints/config-from-shapes.ts';
export { configFromFacebook, facebookArguments } from './checkpoints/facebook-config.ts';
export { forTransformers, transformersDiffers } from './checkpoints/for-transformers.ts';
export {
  COPIED_BLOCKS,
  COPIED_LR_SCALE,
  checkLlama,
  copyLlamaIntoGlobal,
  globalFromLlama,
  llamaTensors,
  llamaWarnings,
} from './checkpoints/from-llama.ts';
export {
  checkpointFromSafetensors,
  checkpointFromStored,
  checkpointPlan,
  checkpointToSafetensors,
  namedTensors,
} from './checkpoints/huggingface.ts';
export { configFromHuggingFace, configToHuggingFace } from './checkpoints/huggingface-config.ts';
export {
  checkAgainstPlan,
  HASH_TABLE,
  hashRowsOf,
  isFacebookLayout,
  type NamedShapes,
  planMemory,
  type StoredTensor,
  type StoredTensors,
  storedInMemory,
  withHuggingFaceNames,
  withTiedEmbeddings,
} from './checkpoints/stored-tensors.ts';
export { type Trace, type TraceOptions, traceCheckpoint, traceCheckpointAsync } from './checkpoints/trace.ts';
export { byteCharacters, transformersConfig, transformersFiles } from './checkpoints/transformers-files.ts';
