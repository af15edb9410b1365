/** @file The form of a kernel on the CPU: a function on views of arrays. */
import type { View } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';

export type { View } from '../backend.ts';

/** A kernel on the CPU: fills every element of the outputs (or, if the contract says so, updates inputs in place). */
export type CpuKernel<K extends KernelName> = (
  outs: readonly View[],
  ins: readonly View[],
  attrs: KernelAttrs[K],
) => void;

/** A kernel without attributes. */
export type PlainKernel = (outs: readonly View[], ins: readonly View[]) => void;
