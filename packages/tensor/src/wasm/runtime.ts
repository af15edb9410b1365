/** @file One instance of the kernels with its memory: where arguments are written and kernels are called. */
import type { Operand } from '../backend.ts';
import { NEXT_UNIT, SCRATCH, SCRATCH_BYTES } from './arguments/layout.ts';
import { Heap } from './heap.ts';
import { type CompiledKernels, compileKernels, type Kernel, type WasmExports } from './module.ts';
import type { WasmOptions } from './options.ts';
import { Pool } from './pool.ts';
import { whyNoThreads } from './threads.ts';
import type { Place } from './unowned.ts';

/** A call written down: its kernel, its whole argument block, and how long it takes on one thread. */
export interface KernelCall {
  readonly kernel: Kernel;
  readonly words: Int32Array;
  readonly nanoseconds: number;
}

/** The address of an operand's values. */
export const address = ({ storage: { handle } }: Operand): number =>
  typeof handle === 'number' ? handle : (handle as Place).address;

/** An instance of the kernels: its memory, its heap, its argument block and its threads. */
export class WasmRuntime {
  readonly compiled: CompiledKernels;
  readonly heap: Heap;
  /** The argument block as integers (addresses too) and as floats. */
  ints!: Int32Array;
  floats!: Float32Array;
  /** The whole memory. */
  allInts!: Int32Array;
  allFloats!: Float32Array;
  /** Receives every call while a recording is made. */
  onCall: ((call: KernelCall) => void) | null = null;
  /** The functions of assembly/index.ts: kernels, and the machinery around them. */
  readonly kernels: WasmExports;
  private readonly obstacle: string | undefined;
  readonly pool: Pool | undefined;

  /** See `WasmOptions`. */
  readonly batchInvariant: boolean;

  constructor(options: WasmOptions = {}) {
    const { deterministic = false, wide, threads = 1, leastShared, maximumBytes = 2 ** 32 } = options;
    const { sharing } = options;
    this.batchInvariant = sharing?.batchInvariant ?? options.batchInvariant ?? false;
    this.compiled =
      (sharing?.kernels as CompiledKernels | undefined) ??
      compileKernels(deterministic, wide, Math.floor(maximumBytes / 65536));
    const { imports, memory, module, maximumPages } = this.compiled;
    this.kernels = new WebAssembly.Instance(module, imports).exports as unknown as WasmExports;
    this.heap = new Heap(memory, sharing ? null : SCRATCH + SCRATCH_BYTES, maximumPages, () => this.mapArguments());
    this.mapArguments();
    this.kernels.setScratch(sharing?.scratch ?? SCRATCH);
    const obstacle = threads > 1 ? whyNoThreads() : undefined;
    if (threads > 1 && obstacle === undefined) {
      this.pool = new Pool(threads, module, imports, this.kernels, leastShared, () => this.heap.reserve(SCRATCH_BYTES));
    }
    this.obstacle = obstacle;
  }

  /** How many threads share the work, and why not more. */
  get threading(): string {
    const obstacle = this.obstacle ?? this.pool?.trouble;
    if (obstacle !== undefined) return `1 thread (${obstacle})`;
    return this.pool ? `${this.pool.threads} threads` : '1 thread';
  }

  get threads(): number {
    return this.pool && this.pool.trouble === undefined ? this.pool.threads : 1;
  }

  private mapArguments(): void {
    const { memory, imports } = this.compiled;
    const { buffer } = memory;
    this.ints = new Int32Array(buffer, imports.env.control, NEXT_UNIT / 4 + 1);
    this.floats = new Float32Array(buffer, imports.env.control, NEXT_UNIT / 4);
    this.allInts = new Int32Array(buffer);
    this.allFloats = new Float32Array(buffer);
  }

  /**
   * Runs a kernel whose arguments have been written, on all threads if that pays.
   * @param kernel one of `kernels`
   * @param nanoseconds about how long it takes on one thread; 0 keeps it there. The bindings estimate it from what was measured
   *   on one machine (0.04 for a multiply-add in a product); a factor of two is of no consequence.
   */
  call(kernel: Kernel, nanoseconds: number): void {
    this.onCall?.({ kernel, words: this.ints.slice(), nanoseconds });
    this.ints[NEXT_UNIT / 4] = 0;
    if (this.pool?.run(kernel, nanoseconds)) return;
    kernel(0, 1);
  }

  /** Makes a call again. */
  repeat({ kernel, words, nanoseconds }: KernelCall): void {
    this.ints.set(words);
    this.call(kernel, nanoseconds);
  }

  /** Runs `f` with the address of `bytes` bytes that are free again afterwards. */
  withTemporary(bytes: number, f: (at: number) => void): void {
    const at = this.heap.allocate(bytes);
    f(at);
    this.heap.free(at, bytes);
  }
}
