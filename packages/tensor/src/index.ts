/**
 * @file @blt-ts/tensor: n-d arrays, and the kernels behind them on several backends.
 */
export { AnomalyError, withAnomalyDetection } from './anomaly.ts';
export type { Backend, Operand, Recording, Storage, TypedArray } from './backend.ts';
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
export { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './float-formats.ts';
export { checkOptions, describe, isForeignTensor } from './given.ts';
export { integerPower } from './integer-power.ts';
export { type Ledger, type LedgerLine, totalFlops, withLedger } from './ledger.ts';
export {
  donating,
  forEachTensor,
  freeDonated,
  isPinned,
  isSavedForBackward,
  keep,
  release,
  type SavedPredicate,
  savingForBackward,
  scope,
  watchReads,
} from './memory.ts';
export { counterUniform, hash32, Random } from './random.ts';
export { createReferenceBackend, referenceBackend } from './reference/backend.ts';
export { Replay, type ReplayInput } from './replay.ts';
export * from './safetensors.ts';
export {
  MAX_HEADER_BYTES,
  SAFETENSORS_DTYPES,
  type SafetensorsDtype,
  SafetensorsError,
} from './safetensors-format.ts';
export { parseSafetensorsHeader, type SafetensorsSpan, safetensorsHeaderSize } from './safetensors-header.ts';
export {
  broadcastShapes,
  type DType,
  formatShape,
  normalizeAxes,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
  stridesOf,
} from './shape.ts';
export {
  checkTensor,
  defaultBackend,
  full,
  type Nested,
  ones,
  run,
  setDefaultBackend,
  storeAsBf16,
  Tensor,
  type TensorOptions,
  tensor,
  zeros,
} from './tensor.ts';
export {
  availableThreads,
  createWasmBackend,
  nativeKernels,
  type WasmBackend,
  type WasmOptions,
} from './wasm/backend.ts';
