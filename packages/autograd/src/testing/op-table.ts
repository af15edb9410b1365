/**
 * @file The op table: for every kernel of the contract how to draw legal inputs, what the result is, how far arithmetic may be
 * off, how it is differentiated, and what it refuses. One table drives the tests of forward passes, gradients, backends and
 * errors; a kernel without a row does not compile.
 */
import { contract, type KernelName } from '@blt-ts/tensor';
import { attentionOps } from './op-attention.ts';
import { axisOps } from './op-axis.ts';
import { elementwiseOps } from './op-elementwise.ts';
import { matmulOps } from './op-matmul.ts';
import { normOps } from './op-norm.ts';
import { optimizerOps } from './op-optimizer.ts';
import { reduceOps } from './op-reduce.ts';
import { ropeOps } from './op-rope.ts';
import type { OpRow } from './op-row.ts';
import { rowsOps } from './op-rows.ts';
import { shapeOps } from './op-shape.ts';
import { softmaxOps } from './op-softmax.ts';

/** The row of every kernel: its legal cases, its definition in 64 bits with an error bound, its gradient and its refusals. */
export const opTable: { readonly [K in KernelName]: OpRow<K> } = {
  ...elementwiseOps,
  ...reduceOps,
  ...shapeOps,
  ...axisOps,
  ...matmulOps,
  ...rowsOps,
  ...softmaxOps,
  ...normOps,
  ...ropeOps,
  ...attentionOps,
  ...optimizerOps,
};

/** The names of all kernels of the contract. */
export const kernelNames = Object.keys(contract) as KernelName[];

/** A row whose kernel is only known at run time: inputs, attributes and definition of one row still belong together. */
export const rowOf = (kernel: KernelName): OpRow<KernelName> => opTable[kernel] as unknown as OpRow<KernelName>;
