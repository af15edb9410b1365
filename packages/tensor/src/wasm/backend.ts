/**
 * @file The CPU backend: SIMD kernels compiled from assembly/, over one WebAssembly memory.
 *
 * `wasmKernels` lists the kernels of the contract that have one. All others, and rare forms of these (see bindings.ts), run the
 * definition in reference/ on the same memory. They are correct, slow, and no part of a training step.
 */
import type { Backend, Operand, OwnLoop, Storage } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';
import { referenceKernels } from '../reference/kernels.ts';
import type { CpuKernel, View } from '../reference/view.ts';
import type { DType } from '../shape.ts';
import { Bf16Values, floatsOf, isBf16, runOnBf16, writeBf16 } from './bf16.ts';
import { bindings } from './bindings.ts';
import { isOffloaded, OffloadedTables, type Staging } from './offload.ts';
import { checkWasmOptions, type WasmOptions } from './options.ts';
import { Recorder } from './recording.ts';
import { WasmRuntime } from './runtime.ts';
import { Place, Unowned } from './unowned.ts';

/** The kernels that run as WebAssembly. */
export const wasmKernels: readonly KernelName[] = Object.keys(bindings) as KernelName[];

/** The backend that `createWasmBackend` makes. */
export interface WasmBackend extends Backend {
  /** How many threads share the work of one kernel; 1 where there can be no workers, whatever was asked for. */
  readonly threads: number;
  /**
   * Starts the workers now, not at the first large kernel, and resolves when they take part. Nobody needs to wait: until
   * then the calling thread does all the work.
   */
  threadsReady(): Promise<void>;
  /** With true, all kernels stay on the calling thread until it is called with false: other work gets the cores. The bits do not change. */
  pauseThreads(paused: boolean): void;
  /** The argument of the last `pauseThreads`. */
  readonly threadsPaused: boolean;
}

export type { SharedMemory, WasmOptions } from './options.ts';
export { availableThreads } from './threads.ts';

/** The array of a table outside the WebAssembly memory. @throws Error when the process cannot allocate it */
function offloadedArray(length: number, inUse: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch (error) {
    const [asked, used] = [length * 4, inUse].map((bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`);
    const message = `out of memory: ${asked} asked for, with ${used} in use by other large tables; use smaller or fewer ones`;
    throw new Error(message, { cause: error });
  }
}

type Kernel = (outs: readonly Operand[], ins: readonly Operand[]) => void;

/** The handle of a storage is an address in the memory, or a `Place`, or a `Float32Array` outside it, or `Bf16Values`. */
class SimdBackend implements WasmBackend {
  readonly name = 'wasm';
  readonly synchronous = true;
  private readonly runtime: WasmRuntime;
  private readonly tables: OffloadedTables;
  /** Larger f32 storages than this live outside the memory. */
  private readonly mostInside: number;
  private bytesOutside = 0;
  private recorder: Recorder | null = null;
  private readonly unownedPlaces: Unowned;
  /** Of unowned storages whose values never move. What it holds must not refer to them. */
  private readonly registry = new FinalizationRegistry<() => void>((free) => free());

  constructor(options: WasmOptions) {
    this.runtime = new WasmRuntime(options);
    this.mostInside = options.outsideBytes ?? 2 ** 28;
    this.tables = new OffloadedTables(this);
    const { heap } = this.runtime;
    const least = options.unownedBytes ?? Math.min(2 ** 30, heap.limit / 4);
    this.unownedPlaces = new Unowned(heap, () => this.runtime.allInts, least);
    heap.whenFull = () => this.unownedPlaces.makeRoom();
  }

  get description(): string {
    return `WebAssembly SIMD, ${this.runtime.compiled.reason}; ${this.runtime.threading}`;
  }
  get threads(): number {
    return this.runtime.threads;
  }
  threadsPaused = false;
  pauseThreads(paused: boolean): void {
    this.threadsPaused = paused;
    if (this.runtime.pool) this.runtime.pool.paused = paused;
  }
  async threadsReady(): Promise<void> {
    await this.runtime.pool?.whenReady();
  }
  get bytesInUse(): number {
    return this.runtime.heap.bytesInUse + this.bytesOutside;
  }

  allocate(dtype: DType, length: number): Storage {
    if (dtype !== 'f32' || length * 4 <= this.mostInside) return this.allocateInside(dtype, length);
    const handle = offloadedArray(length, this.bytesOutside);
    this.bytesOutside += length * 4;
    return { backend: this, dtype, length, refs: 0, version: 0, handle };
  }

  allocateInside(dtype: DType, length: number): Storage {
    return { backend: this, dtype, length, refs: 0, version: 0, handle: this.runtime.heap.allocate(length * 4) };
  }

  free(storage: Storage): void {
    const { handle, length } = storage;
    if (typeof handle === 'number') this.runtime.heap.free(handle, length * 4);
    else if (handle instanceof Place) this.unownedPlaces.free(handle);
    else {
      this.registry.unregister(storage);
      this.freeing(storage)();
    }
    storage.handle = null;
  }

  unowned(storage: Storage): void {
    const { handle } = storage;
    if (typeof handle === 'number' || handle instanceof Place) this.unownedPlaces.add(storage);
    else this.registry.register(storage, this.freeing(storage), storage);
  }

  /** Frees a storage that does not move. The function does not refer to it. */
  private freeing({ handle, length }: Storage): () => void {
    if (handle instanceof Bf16Values) return this.freeingBf16(handle.address, length * 2);
    return this.freeingTable(this.tables.of(handle as Float32Array), length * 4);
  }

  // Functions of their own: closures made in one place share what any of them refers to.
  private freeingBf16(address: number, bytes: number): () => void {
    return () => this.runtime.heap.free(address, bytes);
  }

  private freeingTable(staging: Staging, bytes: number): () => void {
    return () => {
      this.tables.forget(staging);
      this.bytesOutside -= bytes;
    };
  }

  write(storage: Storage, source: ArrayLike<number>): void {
    const { handle, length } = storage;
    if (source.length > length) throw new RangeError(`wasm: ${source.length} values for a storage of ${length}`);
    if (typeof handle === 'number') this.all(storage.dtype).set(source, handle / 4);
    else if (handle instanceof Bf16Values) writeBf16(this.runtime, storage, source);
    else this.values(storage).set(source);
  }

  storeAsBf16(storage: Storage): boolean {
    const { handle, length, dtype } = storage;
    const movable = typeof handle === 'number' || handle instanceof Place;
    if (!movable || dtype !== 'f32' || length === 0 || length % 8 !== 0) return false;
    const before = { ...storage };
    const address = this.runtime.heap.allocate(length * 2);
    storage.handle = new Bf16Values(address);
    writeBf16(this.runtime, storage, this.values(before));
    this.free(before);
    if (handle instanceof Place && handle.unowned) this.unowned(storage);
    return true;
  }

  readSync(storage: Storage, from = 0, to = storage.length): Float32Array | Int32Array {
    const { handle } = storage;
    if (typeof handle !== 'number') return this.values(storage).slice(from, to);
    return this.all(storage.dtype).slice(handle / 4 + from, handle / 4 + to);
  }

  async read(storage: Storage): Promise<Float32Array | Int32Array> {
    return this.readSync(storage);
  }

  /** The whole memory. */
  private all(dtype: DType): Float32Array | Int32Array {
    return dtype === 'i32' ? this.runtime.allInts : this.runtime.allFloats;
  }

  /** The values of a storage: a live view, or a copy of those kept as BF16. */
  values(storage: Storage): Float32Array | Int32Array {
    const { handle, dtype, length } = storage;
    if (handle instanceof Float32Array) return this.tables.values(handle);
    if (handle instanceof Bf16Values) return floatsOf(this.runtime, storage);
    const aside = handle instanceof Place ? handle.aside : null;
    const buffer = aside ? aside.buffer : this.runtime.compiled.memory.buffer;
    const at = aside ? 0 : handle instanceof Place ? handle.address : (handle as number);
    return dtype === 'i32' ? new Int32Array(buffer, at, length) : new Float32Array(buffer, at, length);
  }

  /** The values of these operands are in the memory, and stay where they are during the next call. */
  private putInPlace(outs: readonly Operand[], ins: readonly Operand[]): void {
    const { unownedPlaces, recorder } = this;
    unownedPlaces.nextCall();
    let absent = false;
    // All are named before the first is fetched: it must not push another one out.
    for (const list of [ins, outs]) {
      for (const x of list) {
        recorder?.pin(x);
        const { handle } = x.storage;
        if (handle instanceof Place && unownedPlaces.use(handle)) absent = true;
      }
    }
    if (!absent) return;
    for (const { storage } of [...ins, ...outs]) {
      if (storage.handle instanceof Place) unownedPlaces.fetch(storage, storage.handle);
    }
  }

  private readonly view = (x: Operand): View => ({ data: this.values(x.storage), shape: x.shape });

  run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]): void {
    this.putInPlace(outs, ins);
    if (!ins.some(isOffloaded) && !outs.some(isOffloaded)) {
      if (ins.some(isBf16)) runOnBf16(this.runtime, this, kernel, outs, ins, attrs);
      else this.runInside(kernel, outs, ins, attrs);
      return;
    }
    // Memory that is allocated while a recording is made belongs to the recording, so no rows may stay in it.
    const mayKeep = this.recorder === null;
    const rowsOrWhole: Kernel = (to, from) => {
      if (!this.tables.run(kernel, to, from, attrs, mayKeep)) this.runDefinition(kernel, to, from, attrs);
    };
    this.runInTypeScript(rowsOrWhole, outs, ins);
  }

  /** Runs a kernel whose operands are all in the memory, as floats. */
  runInside<K extends KernelName>(
    kernel: K,
    outs: readonly Operand[],
    ins: readonly Operand[],
    attrs: KernelAttrs[K],
  ): void {
    if (bindings[kernel]?.(this.runtime, outs, ins, attrs)) return;
    this.runInTypeScript((to, from) => this.runDefinition(kernel, to, from, attrs), outs, ins);
  }

  private runDefinition<K extends KernelName>(
    kernel: K,
    outs: readonly Operand[],
    ins: readonly Operand[],
    attrs: KernelAttrs[K],
  ): void {
    (referenceKernels[kernel] as CpuKernel<K>)(outs.map(this.view), ins.map(this.view), attrs);
  }

  runLoop(loop: OwnLoop, outs: readonly Operand[], ins: readonly Operand[]): void {
    this.runInTypeScript((to, from) => loop(to.map(this.view), from.map(this.view)), outs, ins);
  }

  /** Runs a kernel in TypeScript, and tells a recorder of it. */
  private runInTypeScript(kernel: Kernel, outs: readonly Operand[], ins: readonly Operand[]): void {
    if (this.recorder) this.recorder.run(kernel, outs, ins);
    else kernel(outs, ins);
  }

  record(f: () => void) {
    if (this.recorder) throw new Error('wasm: a recording is being made; they do not nest');
    try {
      return Recorder.record(this.runtime, (made) => {
        this.recorder = made;
        this.unownedPlaces.mayMove = false;
        f();
      });
    } finally {
      this.recorder = null;
      this.unownedPlaces.mayMove = true;
    }
  }
}

/**
 * A backend that runs on the CPU with 128-bit SIMD. Each one has its own memory of up to 4 GiB.
 * In Node 20 it switches V8's relaxed SIMD on, unless the environment has BLT_NO_FMA=1.
 * @throws RangeError if `threads` is not a whole number >= 1; TypeError for an option that does not go with `sharing`; CompileError if the engine has no WebAssembly SIMD
 */
export function createWasmBackend(options: WasmOptions = {}): WasmBackend {
  checkWasmOptions(options);
  return new SimdBackend(options);
}
