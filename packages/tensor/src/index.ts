/**
 * @file @blt-ts/tensor: n-d arrays, and the kernels behind them on several backends.
 *
 * Users need the first half. The second half is what @blt-ts/autograd and @blt-ts/blt are made with.
 */

// ----- tensors

export { keep, type Scope, scope } from './memory.ts';
export type { Nested } from './printing.ts';
export { full, ones, zeros } from './run.ts';
export { broadcastShapes, type DType, type Shape, ShapeError } from './shape.ts';
export { defaultBackend, setDefaultBackend, Tensor, type TensorOptions, tensor } from './tensor.ts';

// ----- backends

export type { Backend } from './backend.ts';
export { createReferenceBackend, referenceBackend } from './reference/backend.ts';
export {
  availableThreads,
  createWasmBackend,
  type SharedMemory,
  type WasmBackend,
  type WasmOptions,
  wasmKernels,
} from './wasm/backend.ts';
export { wideVectorsWith } from './wasm/wide-vectors.ts';

// ----- watching what runs

export { AnomalyError, withAnomalyDetection } from './anomaly.ts';
export { type Ledger, type LedgerLine, totalFlops, withLedger } from './ledger.ts';

// ----- random numbers and files

export { counterUniform, hash32, Random } from './numerics/random.ts';
export { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './safetensors/float-formats.ts';
export { type SafetensorsDtype, SafetensorsError } from './safetensors/format.ts';
export { parseSafetensorsHeader, type SafetensorsSpan, safetensorsHeaderSize } from './safetensors/header.ts';
export {
  layoutSafetensors,
  readSafetensors,
  type SafetensorsData,
  type SafetensorsFile,
  type SafetensorsInput,
  type SafetensorsMetadata,
  type SafetensorsTensor,
  toFloat32,
  toInt32,
  writeSafetensors,
} from './safetensors/write-read.ts';

// ======================================================================================================================
// For libraries on top of this one. @blt-ts/autograd and @blt-ts/blt use these names to run kernels without gradients, to say when a
// tensor may be freed or overwritten, and to check their arguments with the same words. They may change in any version.

// ----- kernels

export type { Operand, OwnLoop, OwnSource, Recording, Storage, TypedArray, View } from './backend.ts';
export {
  type AdamWAttrs,
  type AttentionAttrs,
  checkIds,
  contract,
  type KernelAttrs,
  type KernelEntry,
  type KernelName,
  type Spec,
} from './contract.ts';
export { Replay, type ReplayInput } from './replay.ts';
export { run } from './run.ts';

// ----- one memory, several threads

export { borrowTensor, type LentTensor, lendTensor, shareMemory } from './lending.ts';

// ----- lifetimes

export {
  donating,
  forEachTensor,
  freeDonated,
  isPinned,
  isSavedForBackward,
  release,
  type SavedPredicate,
  savingForBackward,
  watchReads,
} from './memory.ts';
export { storeAsBf16 } from './tensor.ts';

// ----- arguments and shapes

export { checkNoMore, checkNumbers, checkOptions, describe, isForeignTensor, refusePromise } from './given.ts';
export { integerPower } from './numerics/integer-power.ts';
export { naturalExp } from './numerics/natural-exp.ts';
export { naturalLog } from './numerics/natural-log.ts';
export { naturalCos, naturalSin } from './numerics/natural-sine.ts';
export { checkShape, formatShape, normalizeAxes, sameShape, sizeOf, stridesOf } from './shape.ts';
export { checkTensor } from './tensor.ts';
