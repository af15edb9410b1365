/**
 * @file The kernel contract: every computation a backend must offer, stated once.
 *
 * A kernel is a pure function from tensors and attributes to new tensors (the few that update in place say so). In contract/
 * stand its formula, its shapes, its errors and its cost; `reference/` holds the definition as plain loops, `wasm/` the fast form.
 * Letters: n, m rows; C channels; V rows of a table; P patches; H heads; D head dim. All tensors are row-major and contiguous.
 *
 * To add a kernel: a line in `KernelAttrs`, an entry in one of the tables, a loop in `reference/`; then a rule in autograd and a row
 * in the tests' op table. The compiler names every place that is still missing.
 */
import { arrays } from './contract/arrays.ts';
import { network } from './contract/network.ts';
import { rows } from './contract/rows.ts';
import type { KernelAttrs, KernelEntry, KernelName } from './contract/types.ts';

export { checkIds, checkIndices } from './contract/indices.ts';
export type { AdamWAttrs, AttentionAttrs, KernelAttrs, KernelEntry, KernelName, None, Spec } from './contract/types.ts';

export const contract: { readonly [K in KernelName]: KernelEntry<KernelAttrs[K]> } = { ...arrays, ...rows, ...network };
