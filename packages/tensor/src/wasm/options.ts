/** @file The options of the wasm backend. Types that importers see name nothing of WebAssembly, which not every program has types for. */
import { checkOptions } from '../given.ts';

export interface WasmOptions {
  /** The most that its memory may grow to, 2^32 bytes by default. */
  maximumBytes?: number;
  /**
   * Tensors that no scope owns may take so much of the memory (default 2^30, or a quarter of it). Beyond that the ones used least recently
   * wait outside, where the garbage collector finds those that are dead.
   */
  unownedBytes?: number;
  /** Tensors of more bytes than this (default 2^28) live outside the WebAssembly memory: tables of which few rows are read. */
  outsideBytes?: number;
  /** Use the build without fused multiply-add: the same bits on every machine. What it costs: docs/backends.md. */
  deterministic?: boolean;
  /**
   * For inference: the bits of a row do not depend on the rows computed with it. A text then gives the same bits as a whole, in chunks and
   * byte by byte, alone and beside others. Decoding one text takes about a quarter more time. Default false.
   */
  batchInvariant?: boolean;
  /** Work in pairs of vectors; by default where the engine makes 256-bit ones of them. The bits do not depend on it. */
  wide?: boolean;
  /** Threads that share the work of one kernel, the calling one included; 1 by default. The bits do not depend on it. */
  threads?: number;
  /**
   * A kernel that would take less than this many microseconds on one thread stays on the calling one. By default 2, and 100
   * while the workers sleep, which they do after some 75 microseconds without work.
   */
  leastShared?: number;
  /**
   * Works on the memory of another backend, in a thread of its own: what `shareMemory` returned. Its kernels are those of the other,
   * on one thread, so `deterministic`, `batchInvariant`, `wide`, `maximumBytes` and `threads` are for that one. `borrowTensor` makes the tensors of one usable in
   * the other.
   */
  sharing?: SharedMemory;
}

/** A backend's memory and kernels, for a backend in another thread. It can be posted there. Each is good for one backend. */
export interface SharedMemory {
  readonly kernels: object;
  readonly scratch: number;
  readonly batchInvariant: boolean;
}

/** Those that concern the kernels and the memory. */
const OF_MEMORY = ['maximumBytes', 'deterministic', 'batchInvariant', 'wide', 'threads'] as const;
const OPTIONS = [...OF_MEMORY, 'unownedBytes', 'outsideBytes', 'leastShared', 'sharing'];

/** @throws RangeError, TypeError naming the first option that is wrong */
export function checkWasmOptions(options: WasmOptions): void {
  checkOptions('createWasmBackend', options, OPTIONS);
  const { threads = 1, sharing } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RangeError(`createWasmBackend: threads must be a whole number >= 1, got ${threads}`);
  }
  for (const name of ['maximumBytes', 'unownedBytes'] as const) {
    const bytes = options[name];
    if (bytes !== undefined && !(bytes >= 0 && bytes <= 2 ** 32)) {
      throw new RangeError(`createWasmBackend: ${name} must be from 0 to 2^32 bytes, got ${bytes}`);
    }
  }
  const wrong = sharing && OF_MEMORY.find((name) => options[name] !== undefined);
  if (wrong) {
    throw new TypeError(`createWasmBackend: ${wrong} belongs to the backend that has the memory; leave it out`);
  }
}
