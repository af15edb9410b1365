/**
 * @file The CPU backend: SIMD kernels compiled from assembly/, over one WebAssembly memory.
 *
 * `nativeKernels` have such a kernel. All others, and rare forms of these (see native.ts), run the definition in reference/ on
 * the same memory: correct, and no part of a training step.
 */
import type { Backend, Operand, Storage } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';
import { checkOptions } from '../given.ts';
import { referenceKernels } from '../reference/kernels.ts';
import type { CpuKernel, View } from '../reference/view.ts';
import type { DType } from '../shape.ts';
import { Machine, type WasmOptions } from './machine.ts';
import { isNarrow, Narrow, runNarrow, widened, writeNarrow } from './narrow.ts';
import { native } from './native.ts';
import { type Inside, isOutside, Outside } from './outside.ts';
import { Recorder } from './recording.ts';

/** The kernels that run as WebAssembly. */
export const nativeKernels: readonly KernelName[] = Object.keys(native) as KernelName[];

export interface WasmBackend extends Backend {
  /** How many threads share the work of one kernel; 1 where there can be no workers, whatever was asked for. */
  readonly threads: number;
  /**
   * Starts the workers now, not at the first large kernel, and resolves when they take part. Nobody needs to wait: until
   * then the calling thread does all the work.
   */
  threadsReady(): Promise<void>;
}

export type { WasmOptions } from './machine.ts';
export { availableThreads } from './pool.ts';

/** @throws Error when the process cannot have so much */
function arrayOutside(length: number, inUse: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch (error) {
    const [asked, used] = [length * 4, inUse].map((bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`);
    const message = `out of memory: ${asked} asked for, with ${used} in use by other large tables; use smaller or fewer ones`;
    throw new Error(message, { cause: error });
  }
}

/**
 * A backend that runs on the CPU with 128-bit SIMD. Each one has its own memory of up to 4 GiB.
 * In Node 20 it switches V8's relaxed SIMD on, unless the environment has BLT_NO_FMA=1.
 * @throws RangeError if `threads` is not a whole number >= 1; CompileError if the engine has no WebAssembly SIMD
 */
export function createWasmBackend(options: WasmOptions = {}): WasmBackend {
  checkOptions('createWasmBackend', options, ['outsideBytes', 'deterministic', 'wide', 'threads', 'leastShared']);
  const { threads = 1 } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RangeError(`createWasmBackend: threads must be a whole number >= 1, got ${threads}`);
  }
  const machine = new Machine(options);
  const { heap } = machine;
  const { memory, reason } = machine.compiled;
  const { outsideBytes = 2 ** 28 } = options;
  let bytesOutside = 0;
  const values = (storage: Storage): Float32Array | Int32Array =>
    storage.handle instanceof Float32Array
      ? outside.values(storage.handle)
      : storage.handle instanceof Narrow
        ? widened(machine, storage)
        : storage.dtype === 'i32'
          ? new Int32Array(memory.buffer, storage.handle as number, storage.length)
          : new Float32Array(memory.buffer, storage.handle as number, storage.length);
  const view = (x: Operand): View => ({ data: values(x.storage), shape: x.shape });
  const allocateInside = (dtype: DType, length: number): Storage => ({
    backend,
    dtype,
    length,
    refs: 0,
    version: 0,
    handle: heap.allocate(length * 4),
  });
  const copy = (storage: Storage): Float32Array | Int32Array => {
    const { handle, length } = storage;
    if (typeof handle !== 'number') return values(storage).slice();
    return (storage.dtype === 'i32' ? machine.allInts : machine.allFloats).slice(handle / 4, handle / 4 + length);
  };
  let recorder: Recorder | null = null;
  /** Runs a kernel in TypeScript, and tells a recorder of it. */
  const runHere = (f: Parameters<Recorder['run']>[0], outs: readonly Operand[], ins: readonly Operand[]) => {
    if (recorder) recorder.run(f, outs, ins);
    else f(outs, ins);
  };
  const define =
    <K extends KernelName>(kernel: K, attrs: KernelAttrs[K]) =>
    (outs: readonly Operand[], ins: readonly Operand[]) =>
      (referenceKernels[kernel] as CpuKernel<K>)(outs.map(view), ins.map(view), attrs);
  const runInside: Inside['run'] = (kernel, outs, ins, attrs) => {
    if (!native[kernel]?.(machine, outs, ins, attrs)) runHere(define(kernel, attrs), outs, ins);
  };
  const inside: Inside = {
    allocate: allocateInside,
    free: ({ handle, length }) => heap.free(handle as number, length * 4),
    values,
    run: runInside,
  };
  const outside = new Outside(inside);
  const backend: WasmBackend = {
    name: 'wasm',
    get description() {
      return `WebAssembly SIMD, ${reason}; ${machine.threading}`;
    },
    synchronous: true,
    get threads() {
      return machine.threads;
    },
    async threadsReady() {
      await machine.pool?.whenReady();
    },
    get bytesInUse() {
      return heap.bytesInUse + bytesOutside;
    },
    allocate(dtype, length) {
      if (dtype === 'f32' && length * 4 > outsideBytes) {
        const handle = arrayOutside(length, bytesOutside);
        bytesOutside += length * 4;
        return { backend, dtype, length, refs: 0, version: 0, handle };
      }
      return allocateInside(dtype, length);
    },
    free(storage) {
      if (storage.handle instanceof Float32Array) {
        outside.forget(storage.handle);
        bytesOutside -= storage.handle.byteLength;
      } else if (storage.handle instanceof Narrow) heap.free(storage.handle.address, storage.length * 2);
      else heap.free(storage.handle as number, storage.length * 4);
      storage.handle = null;
    },
    write(storage, source) {
      const { handle } = storage;
      if (source.length > storage.length) {
        throw new RangeError(`wasm: ${source.length} values for a storage of ${storage.length}`);
      }
      if (typeof handle === 'number') {
        (storage.dtype === 'i32' ? machine.allInts : machine.allFloats).set(source, handle / 4);
      } else if (handle instanceof Narrow) writeNarrow(machine, storage, source);
      else values(storage).set(source);
    },
    storeAsBf16(storage) {
      const { handle, length } = storage;
      if (typeof handle !== 'number' || storage.dtype !== 'f32' || length === 0 || length % 8 !== 0) return false;
      const address = heap.allocate(length * 2);
      const floats = values(storage);
      storage.handle = new Narrow(address);
      writeNarrow(machine, storage, floats);
      heap.free(handle, length * 4);
      return true;
    },
    readSync: copy,
    async read(storage) {
      return copy(storage);
    },
    run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]) {
      if (!ins.some(isOutside) && !outs.some(isOutside)) {
        if (ins.some(isNarrow)) return runNarrow(machine, inside, kernel, outs, ins, attrs);
        return runInside(kernel, outs, ins, attrs);
      }
      // What is allocated while a recording is made belongs to it.
      const mayKeep = recorder === null;
      const rowsOrWhole: Parameters<Recorder['run']>[0] = (to, from) => {
        if (!outside.run(kernel, to, from, attrs, mayKeep)) define(kernel, attrs)(to, from);
      };
      runHere(rowsOrWhole, outs, ins);
    },
    record(f) {
      if (recorder) throw new Error('wasm: a recording is being made; they do not nest');
      try {
        return Recorder.record(machine, (made) => {
          recorder = made;
          f();
        });
      } finally {
        recorder = null;
      }
    },
  };
  return backend;
}
