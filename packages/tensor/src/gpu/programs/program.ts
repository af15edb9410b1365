/** @file The form of a program: how one kernel of the contract runs on the device. */
import type { Operand } from '../../backend.ts';
import type { KernelAttrs, KernelName } from '../../contract.ts';
import type { Calls } from '../calls.ts';

/** Makes the calls that compute the outputs of one kernel. */
export type Program<K extends KernelName> = (
  calls: Calls,
  outs: readonly Operand[],
  ins: readonly Operand[],
  attrs: KernelAttrs[K],
) => void;

/** A program without attributes. */
export type Plain = (calls: Calls, outs: readonly Operand[], ins: readonly Operand[]) => void;
