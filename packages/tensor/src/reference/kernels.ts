/**
 * @file The definition of every kernel as plain loops, obvious rather than fast. Arithmetic is in 64 bits and rounded when stored;
 * every other backend is tested against this one.
 */
import type { KernelName } from '../contract.ts';
import { attention } from './attention.ts';
import { elementwise } from './elementwise.ts';
import { matmul } from './matmul.ts';
import { network } from './network.ts';
import { optimizer } from './optimizer.ts';
import { rows } from './rows.ts';
import { shapes } from './shapes.ts';
import type { CpuKernel } from './view.ts';

export const referenceKernels: { readonly [K in KernelName]: CpuKernel<K> } = {
  ...elementwise,
  ...shapes,
  matmul,
  ...rows,
  ...network,
  ...attention,
  ...optimizer,
};
