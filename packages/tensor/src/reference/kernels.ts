/**
 * @file The definition of every kernel as plain loops, obvious rather than fast. Arithmetic is in 64 bits and rounded when stored;
 * every other backend is tested against this one.
 */
import type { KernelName } from '../contract.ts';
import { attentionKernels } from './attention.ts';
import { axisKernels } from './axis.ts';
import { elementwiseKernels } from './elementwise.ts';
import { matmulKernels } from './matmul.ts';
import { normKernels } from './norm.ts';
import { optimizerKernels } from './optimizer.ts';
import { reduceKernels } from './reduce.ts';
import { ropeKernels } from './rope.ts';
import { rowsKernels } from './rows.ts';
import { shapeKernels } from './shape.ts';
import { softmaxKernels } from './softmax.ts';
import type { CpuKernel } from './view.ts';

/** The definition of each kernel, by its name. */
export const referenceKernels: { readonly [K in KernelName]: CpuKernel<K> } = {
  ...elementwiseKernels,
  ...reduceKernels,
  ...shapeKernels,
  ...axisKernels,
  ...matmulKernels,
  ...rowsKernels,
  ...softmaxKernels,
  ...normKernels,
  ...ropeKernels,
  ...attentionKernels,
  ...optimizerKernels,
};
