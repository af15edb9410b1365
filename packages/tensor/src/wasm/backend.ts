/**
 * @file The CPU backend: SIMD kernels compiled from assembly/, over one WebAssembly memory.
 *
 * `nativeKernels` have such a kernel. All others, and rare forms of these (see native.ts), run the definition in reference/ on
 * the same memory: correct, and no part of a training step.
 */
import type { Backend, Operand, Storage } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';
import { referenceKernels } from '../reference/kernels.ts';
import type { CpuKernel, View } from '../reference/view.ts';
import { Machine } from './machine.ts';
import { native } from './native.ts';

/** The kernels that run as WebAssembly. */
export const nativeKernels: readonly KernelName[] = Object.keys(native) as KernelName[];

export interface WasmOptions {
  /** Use the build without fused multiply-add: the same bits on every machine, about a fifth slower. */
  deterministic?: boolean;
  /** Threads that share the work of one kernel, the calling one included; 1 by default. The bits do not depend on it. */
  threads?: number;
}

export { availableThreads } from './pool.ts';

/**
 * A backend that runs on the CPU with 128-bit SIMD. Each one has its own memory of up to 4 GiB.
 * In Node 20 it switches V8's relaxed SIMD on, unless the environment has BLT_NO_FMA=1.
 * @throws RangeError if `threads` is not a whole number >= 1; CompileError if the engine has no WebAssembly SIMD
 */
export function createWasmBackend(options: WasmOptions = {}): Backend {
  const { deterministic = false, threads = 1 } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RangeError(`createWasmBackend: threads must be a whole number >= 1, got ${threads}`);
  }
  const machine = new Machine(deterministic, threads);
  const { heap } = machine;
  const { memory, reason } = machine.compiled;
  const values = (storage: Storage) =>
    storage.dtype === 'i32'
      ? new Int32Array(memory.buffer, storage.handle as number, storage.length)
      : new Float32Array(memory.buffer, storage.handle as number, storage.length);
  const view = (x: Operand): View => ({ data: values(x.storage), shape: x.shape });
  const backend: Backend = {
    name: 'wasm',
    description: `WebAssembly SIMD, ${reason}; ${machine.threading}`,
    synchronous: true,
    get bytesInUse() {
      return heap.bytesInUse;
    },
    allocate(dtype, length) {
      return { backend, dtype, length, refs: 0, handle: heap.allocate(length * 4) };
    },
    free(storage) {
      heap.free(storage.handle as number, storage.length * 4);
      storage.handle = null;
    },
    write(storage, source) {
      values(storage).set(source);
    },
    readSync(storage) {
      return values(storage).slice();
    },
    async read(storage) {
      return values(storage).slice();
    },
    run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]) {
      if (native[kernel]?.(machine, outs, ins, attrs)) return;
      (referenceKernels[kernel] as CpuKernel<K>)(outs.map(view), ins.map(view), attrs);
    },
  };
  return backend;
}
