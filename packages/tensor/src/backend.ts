/** @file The interface of a backend: storages, and kernels that run on them. */
import type { KernelAttrs, KernelName, Spec } from './contract/types.ts';
import type { DType, Shape } from './shape.ts';

/** The arrays that hold values on the CPU; Float64Array for the 64-bit reference. */
export type TypedArray = Float32Array | Float64Array | Int32Array;

/** Extremes of a list of whole numbers, as of one version of its storage. */
export interface IndexSummary {
  readonly version: number;
  readonly smallest: number;
  readonly largest: number;
  /** The smallest difference between one and the one before it. */
  readonly step: number;
}

/** The values of a tensor as a backend keeps them. Several tensors (reshapes) may share one storage; the last one frees it. */
export interface Storage {
  readonly backend: Backend;
  readonly dtype: DType;
  readonly length: number;
  /** How many live tensors use it, or were alive when last seen: the collector takes those of no scope in silence. Only tensor.ts sets it. */
  refs: number;
  /** The backend was told that no scope owns it. Only lifetime.ts sets it. */
  unowned?: boolean;
  /** Its values are BF16. Only tensor.ts sets it. */
  bf16?: boolean;
  /** How often its values were changed in place. Only tensor.ts and run.ts change it. */
  version: number;
  /** Extremes of its whole numbers. Only contract/indices.ts sets it. */
  summary?: IndexSummary;
  /** The backend's own name for it: a typed array, a pointer, a device buffer. */
  handle: unknown;
}

/** One input or output of a kernel call. */
export interface Operand extends Spec {
  readonly storage: Storage;
}

/** An operand as a loop on the CPU sees it: values in memory and their shape. */
export interface View {
  readonly data: TypedArray;
  readonly shape: Shape;
}

/** A loop on the CPU: fills every element of the outputs. */
export type OwnLoop = (outs: readonly View[], ins: readonly View[]) => void;

/** The source of a kernel for gpu.js: see gpu/kernel-source.ts, which says what a body may do. */
export interface OwnSource {
  /** No two sources of one name: the device compiles each name once. */
  readonly name: string;
  readonly grid: 'line' | 'rows';
  /** Names of the arguments, each list separated by spaces: the inputs, then whole numbers, then floats. */
  readonly arrays: string;
  readonly integers?: string;
  readonly floats?: string;
  /** Statements that set `y`. */
  readonly body: string;
}

/** Kernel calls that were recorded once, with the addresses of what they read and write (CUDA: a graph). */
export interface Recording {
  /** Runs them again, on whatever is at these addresses now. */
  replay(): void;
  /** Gives their working memory back. */
  release(): void;
}

/** One way to run the kernels of the contract. */
export interface Backend {
  readonly name: string;
  /** One line for people: which variant runs, and why. */
  readonly description: string;
  /** True if `readSync` works: the values are in this process's memory. */
  readonly synchronous: boolean;
  /** Bytes in live storages; those that no scope owns count until the collector has found them, or until they left the backend's memory. */
  readonly bytesInUse: number;
  /** A storage with undefined content. @throws Error when memory runs out */
  allocate(dtype: DType, length: number): Storage;
  free(storage: Storage): void;
  /**
   * Told once of a storage that no scope owns: from now on the garbage collector decides when it is dead, unless `free` comes first.
   * For a backend without it, lifetime.ts has the collector call `free`, which it does between jobs only.
   */
  unowned?(storage: Storage): void;
  /** The values are copied before this returns. */
  write(storage: Storage, values: ArrayLike<number>): void;
  /** A copy of the values; with `from` and `to`, of those from number `from` on and before number `to`. */
  readSync(storage: Storage, from?: number, to?: number): Float32Array | Int32Array;
  read(storage: Storage): Promise<Float32Array | Int32Array>;
  /**
   * Keeps the values of an f32 storage as BF16 from now on: rounded to 8 significant bits, in half the memory. They are read as floats,
   * and kernels that would change them are refused. Backends without it, or returning false, leave them as they are.
   */
  storeAsBf16?(storage: Storage): boolean;
  /**
   * Runs `f` and writes down the kernels it runs, for `Replay`. Memory that `f` frees stays the recording's until `release`.
   * Backends without it run every kernel anew.
   */
  record?(f: () => void): Recording;
  /**
   * Runs a loop of the caller's on the values where they are, for ops of a user's own (`defineOp`). It must fill `outs` and leave `ins`
   * alone. Backends that keep the values on a device have `runSource` instead.
   */
  runLoop?(loop: OwnLoop, outs: readonly Operand[], ins: readonly Operand[]): void;
  /** Runs the source of a kernel for gpu.js, which fills `out`: I counts its elements, or ROW and COL its rows and their elements. */
  runSource?(source: OwnSource, out: Operand, ins: readonly Operand[], scalars: readonly number[]): void;
  /** Fills the outputs; shapes and dtypes are already checked against the contract. */
  run<K extends KernelName>(kernel: K, outs: readonly Operand[], ins: readonly Operand[], attrs: KernelAttrs[K]): void;
}
