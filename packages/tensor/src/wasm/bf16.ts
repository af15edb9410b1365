/**
 * @file Weights kept as BF16. They take half the memory, and a product of few rows takes half the time, because it waits for its matrix
 * to arrive from memory. The tensor stays a tensor of floats: its values are rounded once, and read as floats everywhere.
 */
import type { Operand, Storage } from '../backend.ts';
import { contract, type KernelAttrs, type KernelEntry, type KernelName } from '../contract.ts';
import { bf16ToF32, f32ToBf16 } from '../safetensors/float-formats.ts';
import * as args from './arguments/matmul.ts';
import type { HeapAccess } from './offload.ts';
import { address, type WasmRuntime } from './runtime.ts';

/** The handle of a storage of BF16 values. */
export class Bf16Values {
  readonly address: number;

  constructor(address: number) {
    this.address = address;
  }
}

/** Whether the values of an operand are kept as BF16. */
export const isBf16 = (x: Operand): boolean => x.storage.handle instanceof Bf16Values;

/** The 16-bit values in the WebAssembly memory. */
const codes = ({ compiled }: WasmRuntime, { address }: Bf16Values, length: number): Uint16Array =>
  new Uint16Array(compiled.memory.buffer, address, length);

/** The values, as floats. */
export const floatsOf = (runtime: WasmRuntime, { handle, length }: Storage): Float32Array =>
  bf16ToF32(codes(runtime, handle as Bf16Values, length));

/** Overwrites the values, rounding them to nearest, ties to even. */
export function writeBf16(runtime: WasmRuntime, { handle, length }: Storage, values: ArrayLike<number>): void {
  const rounded = f32ToBf16(values instanceof Float32Array ? values : Float32Array.from(values));
  codes(runtime, handle as Bf16Values, length).set(rounded);
}

/** Up to this many rows of A the kernel reads BF16. For more rows the matrix is widened to floats first. */
const FEW_ROWS = 16;

/** y = a b^T for few rows of a. False for other forms. */
function fewRows(
  runtime: WasmRuntime,
  [y]: readonly Operand[],
  [a, b]: readonly Operand[],
  attrs: KernelAttrs['matmul'],
): boolean {
  if (isBf16(a) || attrs.transposeA || !attrs.transposeB || a.shape.length !== 2 || b.shape.length !== 2) return false;
  const [M, K] = a.shape;
  const [N] = b.shape;
  if (M > FEW_ROWS || K % 8 !== 0 || M * N * K === 0) return false;
  const { ints, kernels } = runtime;
  ints[args.a] = address(a);
  ints[args.b] = (b.storage.handle as Bf16Values).address;
  ints[args.c] = address(y);
  ints[args.M] = M;
  ints[args.N] = N;
  ints[args.K] = K;
  runtime.call(kernels.matmulBf16, M * N * K * 0.04);
  return true;
}

/** Runs a kernel some of whose inputs are kept as BF16. @throws Error if it would write to one */
export function runOnBf16<K extends KernelName>(
  runtime: WasmRuntime,
  heap: HeapAccess,
  kernel: K,
  outs: readonly Operand[],
  ins: readonly Operand[],
  attrs: KernelAttrs[K],
): void {
  const entry: KernelEntry<KernelAttrs[K]> = contract[kernel];
  if (entry.mutates?.some((i) => isBf16(ins[i]))) {
    throw new Error(`${kernel}: weights kept as BF16 cannot be changed; keep them as 32-bit floats`);
  }
  if (kernel === 'matmul' && isBf16(ins[1]) && fewRows(runtime, outs, ins, attrs as KernelAttrs['matmul'])) return;
  const made: Storage[] = [];
  const staged = ins.map((x) => {
    if (!isBf16(x)) return x;
    const { length, handle } = x.storage;
    const storage = heap.allocateInside('f32', length);
    made.push(storage);
    const { ints, kernels } = runtime;
    ints[args.y] = storage.handle as number;
    ints[args.x] = (handle as Bf16Values).address;
    ints[args.n] = length;
    runtime.call(kernels.widenBf16, length * 0.1);
    return { storage, dtype: x.dtype, shape: x.shape };
  });
  heap.runInside(kernel, outs, staged, attrs);
  for (const storage of made) heap.free(storage);
}
