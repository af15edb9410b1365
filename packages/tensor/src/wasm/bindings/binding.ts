/** @file The form of a binding: how a kernel of the contract becomes calls of the kernels in assembly/. */
import type { Operand } from '../../backend.ts';
import type { KernelAttrs, KernelName } from '../../contract.ts';
import { sizeOf } from '../../shape.ts';
import type { WasmRuntime } from '../runtime.ts';

/**
 * Writes a kernel's arguments, each into its word of the argument block (see arguments/), and calls it. False for a form that has
 * no fast code (say, broadcasting over three axes): the definition then runs on the same memory.
 */
export type Run<Attrs> = (
  runtime: WasmRuntime,
  outs: readonly Operand[],
  ins: readonly Operand[],
  attrs: Attrs,
) => boolean;
/** `Run` for one kernel of the contract. */
export type Binding<K extends KernelName> = Run<KernelAttrs[K]>;

/** The last axis, and all before it as one. */
export const rowsAndColumns = (x: Operand): [rows: number, columns: number] => {
  const columns = x.shape.at(-1) ?? 1;
  return [columns === 0 ? 0 : sizeOf(x.shape) / columns, columns];
};
