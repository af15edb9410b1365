/** @file The options of the wasm backend. Types that importers see name nothing of WebAssembly, which not every program has types for. */

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
}
