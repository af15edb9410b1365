/** @file The most that a core can do in WebAssembly: multiply-adds on registers alone, in the same build of the kernels. */
import { compileKernels, type WasmExports } from '../../packages/tensor/src/wasm/module.ts';

/** FLOPs of one step of the kernel `ceiling`: 12 multiply-adds of 4 lanes, or half a step of 12 of 8 (assembly/matmul/tile-4x8.ts). */
const FLOPS = 96;
const STEPS = 100_000;

/** One call of `run` executes `flops` FLOPs on one thread and touches no memory. */
export function registerCeiling(deterministic = false): { run: () => void; flops: number } {
  const { module, memory, imports } = compileKernels(deterministic, undefined, 65536);
  const { ceiling } = new WebAssembly.Instance(module, imports).exports as unknown as WasmExports;
  // Where the values come from: ones times a quarter, so that nothing overflows or becomes denormal.
  const at = 65536;
  new Float32Array(memory.buffer, at, 128).fill(0.25);
  return { run: () => void ceiling(STEPS, at), flops: FLOPS * STEPS };
}
