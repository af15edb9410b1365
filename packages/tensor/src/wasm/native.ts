/** @file Which kernels of the contract run as WebAssembly, and how: the chapters stand in native/, in the order of assembly/. */
import type { KernelName } from '../contract.ts';
import { attention } from './native/attention.ts';
import type { Native } from './native/call.ts';
import { elementwise } from './native/elementwise.ts';
import { matmul } from './native/matmul.ts';
import { network } from './native/network.ts';
import { optimizer } from './native/optimizer.ts';
import { rows } from './native/rows.ts';
import { shapes } from './native/shapes.ts';
import { sums } from './native/sum.ts';

export const native: { readonly [K in KernelName]?: Native<K> } = {
  matmul,
  ...attention,
  ...elementwise,
  ...network,
  ...rows,
  ...sums,
  ...shapes,
  ...optimizer,
};
