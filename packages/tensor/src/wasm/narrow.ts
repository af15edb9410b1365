/**
 * @file Weights kept as BF16: half the memory, and a product of few rows takes half as long, for it waits for nothing but its matrix.
 * A tensor whose storage was narrowed stays a tensor of floats: its values are rounded once, and read as floats everywhere.
 */
import type { Operand, Storage } from '../backend.ts';
import { contract, type KernelAttrs, type KernelEntry, type KernelName } from '../contract.ts';
import { bf16ToF32, f32ToBf16 } from '../float-formats.ts';
import type { Machine } from './machine.ts';
import type { Inside } from './outside.ts';

/** The handle of a storage of BF16 values. */
export class Narrow {
  readonly address: number;

  constructor(address: number) {
    this.address = address;
  }
}

export const isNarrow = (x: Operand): boolean => x.storage.handle instanceof Narrow;

const codes = ({ compiled }: Machine, { address }: Narrow, length: number): Uint16Array =>
  new Uint16Array(compiled.memory.buffer, address, length);

/** The values, as floats. */
export const widened = (machine: Machine, { handle, length }: Storage): Float32Array =>
  bf16ToF32(codes(machine, handle as Narrow, length));

/** Overwrites the values, rounding them to nearest, ties to even. */
export function writeNarrow(machine: Machine, { handle, length }: Storage, values: ArrayLike<number>): void {
  const rounded = f32ToBf16(values instanceof Float32Array ? values : Float32Array.from(values));
  codes(machine, handle as Narrow, length).set(rounded);
}

/** Up to this many rows of A the kernel reads BF16; for more the matrix becomes floats first. */
const FEW_ROWS = 16;
/** What the kernel's scratch holds four rows of. */
const MOST_COLUMNS = 65536;

/** y = a b^T for few rows of a. False for other forms. */
function fewRows(
  m: Machine,
  [y]: readonly Operand[],
  [a, b]: readonly Operand[],
  attrs: KernelAttrs['matmul'],
): boolean {
  if (isNarrow(a) || attrs.transposeA || !attrs.transposeB || a.shape.length !== 2 || b.shape.length !== 2)
    return false;
  const [M, K] = a.shape;
  const [N] = b.shape;
  if (M > FEW_ROWS || K % 8 !== 0 || K > MOST_COLUMNS || M * N * K === 0) return false;
  const { ints } = m;
  ints[0] = a.storage.handle as number;
  ints[1] = (b.storage.handle as Narrow).address;
  ints[2] = y.storage.handle as number;
  ints[3] = M;
  ints[4] = N;
  ints[5] = K;
  m.call('matmulBf16', M * N * K * 0.04);
  return true;
}

/** Runs a kernel some of whose inputs are narrow. @throws Error if it would write to one */
export function runNarrow<K extends KernelName>(
  machine: Machine,
  inside: Inside,
  kernel: K,
  outs: readonly Operand[],
  ins: readonly Operand[],
  attrs: KernelAttrs[K],
): void {
  const entry: KernelEntry<KernelAttrs[K]> = contract[kernel];
  if (entry.mutates?.some((i) => isNarrow(ins[i]))) {
    throw new Error(`${kernel}: weights kept as BF16 cannot be changed; load the model with --weights f32`);
  }
  if (kernel === 'matmul' && isNarrow(ins[1]) && fewRows(machine, outs, ins, attrs as KernelAttrs['matmul'])) return;
  const made: Storage[] = [];
  const staged = ins.map((x) => {
    if (!isNarrow(x)) return x;
    const { length, handle } = x.storage;
    const storage = inside.allocate('f32', length);
    made.push(storage);
    const { ints } = machine;
    ints[0] = storage.handle as number;
    ints[1] = (handle as Narrow).address;
    ints[2] = length;
    machine.call('widenBf16', length * 0.1);
    return { storage, dtype: x.dtype, shape: x.shape };
  });
  inside.run(kernel, outs, staged, attrs);
  for (const storage of made) inside.free(storage);
}
