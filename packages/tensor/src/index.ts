/**
 * @file @blt-ts/tensor: n-d arrays, and the kernels behind them on several backends.
 */
export type { Backend, Operand, Storage, TypedArray } from './backend.ts';
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
export { type Ledger, type LedgerLine, totalFlops, withLedger } from './ledger.ts';
export { forEachTensor, hold, holding, keep, release, scope } from './memory.ts';
export { createReferenceBackend, referenceBackend } from './reference/backend.ts';
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
  defaultBackend,
  full,
  type Nested,
  ones,
  run,
  setDefaultBackend,
  Tensor,
  type TensorOptions,
  tensor,
  zeros,
} from './tensor.ts';
