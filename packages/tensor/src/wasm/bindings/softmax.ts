/** @file Softmax and cross-entropy; see assembly/softmax.ts. */
import * as args from '../arguments/softmax.ts';
import { address } from '../runtime.ts';
import { type Binding, rowsAndColumns } from './binding.ts';

const softmax: Binding<'softmax'> = (runtime, [y], [x]) => {
  const { ints, kernels } = runtime;
  const [rows, C] = rowsAndColumns(x);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.rows] = rows;
  ints[args.C] = C;
  runtime.call(kernels.softmax, rows * C * 0.8);
  return true;
};

const logSoftmax: Binding<'logSoftmax'> = (runtime, [y], [x]) => {
  const { ints, kernels } = runtime;
  const [rows, C] = rowsAndColumns(x);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.rows] = rows;
  ints[args.C] = C;
  runtime.call(kernels.logSoftmax, rows * C * 0.8);
  return true;
};

const crossEntropy: Binding<'crossEntropy'> = (runtime, [loss], [logits, targets]) => {
  const { ints, kernels } = runtime;
  const [rows, V] = logits.shape;
  ints[args.loss] = address(loss);
  ints[args.logits] = address(logits);
  ints[args.targets] = address(targets);
  ints[args.rows] = rows;
  ints[args.V] = V;
  runtime.call(kernels.crossEntropy, rows * V * 0.7);
  return true;
};

const crossEntropyBackward: Binding<'crossEntropyBackward'> = (runtime, [dlogits], [logits, targets, g]) => {
  const { ints, kernels } = runtime;
  const [rows, V] = logits.shape;
  ints[args.dlogits] = address(dlogits);
  ints[args.logits] = address(logits);
  ints[args.targets] = address(targets);
  ints[args.g] = address(g);
  ints[args.rows] = rows;
  ints[args.V] = V;
  runtime.call(kernels.crossEntropyBackward, rows * V * 0.8);
  return true;
};

export const softmaxBindings = { softmax, logSoftmax, crossEntropy, crossEntropyBackward };
