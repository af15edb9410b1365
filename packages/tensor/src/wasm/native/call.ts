/** @file What the entries of the table of native kernels share. */
import type { Operand } from '../../backend.ts';
import type { KernelAttrs, KernelName } from '../../contract.ts';
import { sizeOf } from '../../shape.ts';
import { address, type Machine } from '../machine.ts';

/**
 * Puts down a kernel's arguments, in the order the assembly reads them, and calls it. False for a form it has no fast code
 * for (say, broadcasting over three axes): the definition then runs on the same memory.
 */
export type Run<Attrs> = (machine: Machine, outs: readonly Operand[], ins: readonly Operand[], attrs: Attrs) => boolean;
export type Native<K extends KernelName> = Run<KernelAttrs[K]>;

/** Puts down the addresses of the operands one after the other, then whole numbers; returns the next free place. */
export function put(m: Machine, operands: readonly Operand[], numbers: readonly number[]): number {
  let at = 0;
  for (const x of operands) m.ints[at++] = address(x);
  for (const n of numbers) m.ints[at++] = n;
  return at;
}

/** The last axis, and all before it as one. */
export const rowsAndColumns = (x: Operand): [rows: number, columns: number] => {
  const columns = x.shape.at(-1) ?? 1;
  return [columns === 0 ? 0 : sizeOf(x.shape) / columns, columns];
};
