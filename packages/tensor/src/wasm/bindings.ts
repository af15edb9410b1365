/** @file The kernels of the contract that run as WebAssembly; each chapter has a file in bindings/. */

import type { KernelName } from '../contract.ts';
import { attentionBindings } from './bindings/attention.ts';
import { axisBindings } from './bindings/axis.ts';
import type { Binding } from './bindings/binding.ts';
import { elementwiseBindings } from './bindings/elementwise.ts';
import { matmulBindings } from './bindings/matmul.ts';
import { normBindings } from './bindings/norm.ts';
import { optimizerBindings } from './bindings/optimizer.ts';
import { reduceBindings } from './bindings/reduce.ts';
import { ropeBindings } from './bindings/rope.ts';
import { rowsBindings } from './bindings/rows.ts';
import { shapeBindings } from './bindings/shape.ts';
import { softmaxBindings } from './bindings/softmax.ts';

/** How each kernel of the contract is run in WebAssembly, by its name; kernels without such a form are missing. */
export const bindings: { readonly [K in KernelName]?: Binding<K> } = {
  ...elementwiseBindings,
  ...reduceBindings,
  ...shapeBindings,
  ...axisBindings,
  ...matmulBindings,
  ...rowsBindings,
  ...softmaxBindings,
  ...normBindings,
  ...ropeBindings,
  ...attentionBindings,
  ...optimizerBindings,
};
