/**
 * @file The kernel contract: every computation a backend must offer, stated once.
 *
 * A kernel is a pure function from tensors and attributes to new tensors (the few that update in place say so). contract/ states its
 * formula, its shapes, its errors and its cost. reference/ holds the definition as plain loops, wasm/ and gpu/ hold the fast forms.
 * Letters: n, m rows; C channels; V rows of a table; P patches; H heads; D head dim. All tensors are row-major and contiguous.
 *
 * Kernels are sorted into eleven chapters. A kernel stands in the file of its chapter on every floor: contract/, reference/,
 * wasm/arguments/, wasm/bindings/, wasm/assembly/, gpu/kernels/, gpu/programs/, and the tests' op table.
 *
 * To add a kernel, write a line in `KernelAttrs`, an entry in its chapter and a loop in `reference/`. Then write a rule in autograd
 * and a row in the tests' op table. The compiler names every place that is still missing.
 */
import { attention } from './contract/attention.ts';
import { axis } from './contract/axis.ts';
import { elementwise } from './contract/elementwise.ts';
import { matmul } from './contract/matmul.ts';
import { norm } from './contract/norm.ts';
import { optimizer } from './contract/optimizer.ts';
import { reduce } from './contract/reduce.ts';
import { rope } from './contract/rope.ts';
import { rows } from './contract/rows.ts';
import { shape } from './contract/shape.ts';
import { softmax } from './contract/softmax.ts';
import type { KernelAttrs, KernelEntry, KernelName } from './contract/types.ts';

export { checkIds, checkIndices, noteRange } from './contract/indices.ts';
export type { AdamWAttrs, AttentionAttrs, KernelAttrs, KernelEntry, KernelName, None, Spec } from './contract/types.ts';

/** The entries by chapter. */
export const chapters = { elementwise, reduce, shape, axis, matmul, rows, softmax, norm, rope, attention, optimizer };

/** The entry of every kernel, by its name. */
export const contract: { readonly [K in KernelName]: KernelEntry<KernelAttrs[K]> } = {
  ...elementwise,
  ...reduce,
  ...shape,
  ...axis,
  ...matmul,
  ...rows,
  ...softmax,
  ...norm,
  ...rope,
  ...attention,
  ...optimizer,
};
