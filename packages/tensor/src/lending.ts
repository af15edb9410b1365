/** @file Tensors of one thread in another, where both have a backend on one memory. Nothing is copied. */
import type { Backend } from './backend.ts';
import { type DType, type Shape, sizeOf } from './shape.ts';
import { Tensor } from './tensor.ts';
import { CONTROL_BYTES, SCRATCH_BYTES } from './wasm/arguments/layout.ts';
import type { SharedMemory, WasmBackend } from './wasm/backend.ts';
import type { WasmRuntime } from './wasm/runtime.ts';
import { whyNoThreads } from './wasm/threads.ts';
import { Place, type Unowned } from './wasm/unowned.ts';

/** Private fields of a wasm backend. Public ones would bring types of WebAssembly into its declarations, which not every program has. */
const inside = (backend: Backend) => backend as unknown as { runtime: WasmRuntime; unownedPlaces: Unowned };

/**
 * The start of a backend in another thread that works on the memory of this one: the option `sharing` of `createWasmBackend` there.
 * @throws Error where memory cannot be shared, because there is no SharedArrayBuffer
 */
export function shareMemory(backend: WasmBackend): SharedMemory {
  const runtime = inside(backend).runtime;
  const { heap, compiled, batchInvariant } = runtime;
  if (!compiled.shared) throw new Error(`wasm: the memory cannot be shared: ${whyNoThreads()}`);
  const control = heap.reserve(CONTROL_BYTES);
  const scratch = heap.reserve(SCRATCH_BYTES);
  runtime.allInts.fill(0, control / 4, (control + CONTROL_BYTES) / 4);
  const imports = { env: { ...compiled.imports.env, control } };
  return { kernels: { ...compiled, imports }, scratch, batchInvariant };
}

/** The place of a tensor's values. It can be posted to another thread. */
export interface LentTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly address: number;
}

/** Where a storage lies, from now on until it is freed. */
function fixedAddress({ storage }: Tensor): number | null {
  const { handle, backend } = storage;
  if (typeof handle === 'number') return handle;
  if (!(handle instanceof Place)) return null;
  inside(backend).unownedPlaces.fetch(storage, handle);
  handle.pins++;
  return handle.address;
}

/**
 * The place of a tensor on a wasm backend, for `borrowTensor` in another thread. The lender keeps it alive as long as anybody reads it
 * there, and nobody may read it while another changes it.
 * @returns null for a tensor outside the memory: a large table, BF16
 */
export function lendTensor(x: Tensor): LentTensor | null {
  x.assertLive();
  const address = fixedAddress(x);
  return address === null ? null : { dtype: x.dtype, shape: x.shape, address };
}

/** A tensor on the values of another backend of the same memory. To free it does not free them. */
export function borrowTensor({ dtype, shape, address }: LentTensor, backend: WasmBackend): Tensor {
  const length = sizeOf(shape);
  inside(backend).runtime.heap.cover(address + length * 4);
  const handle = new Place(address, length * 4);
  handle.borrowed = true;
  return new Tensor({ backend, dtype, length, refs: 0, version: 0, handle }, shape);
}
