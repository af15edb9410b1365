/** @file Root-mean-square normalisation; see assembly/norm.ts. */
import * as args from '../arguments/norm.ts';
import { address } from '../runtime.ts';
import { type Binding, rowsAndColumns } from './binding.ts';

const rmsNorm: Binding<'rmsNorm'> = (runtime, [y], [x, w], { eps }) => {
  const { ints, floats, kernels } = runtime;
  const [rows, C] = rowsAndColumns(x);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.w] = address(w);
  ints[args.rows] = rows;
  ints[args.C] = C;
  floats[args.eps] = eps;
  runtime.call(kernels.rmsNorm, rows * C * 0.3);
  return true;
};

/** dw is summed over this many groups of rows first. The number is fixed, so that the bits do not depend on the threads. */
const CHUNKS = 16;

const rmsNormBackward: Binding<'rmsNormBackward'> = (runtime, [dx, dw], [x, w, g], { eps }) => {
  const [rows, C] = rowsAndColumns(x);
  const width = (C + 3) & ~3;
  runtime.withTemporary(CHUNKS * width * 4, (partials) => {
    const { ints, floats, kernels } = runtime;
    ints[args.dx] = address(dx);
    ints[args.dw] = address(dw);
    ints[args.partials] = partials;
    ints[args.x] = address(x);
    ints[args.w] = address(w);
    ints[args.g] = address(g);
    ints[args.rows] = rows;
    ints[args.C] = C;
    floats[args.eps] = eps;
    ints[args.chunks] = CHUNKS;
    ints[args.width] = width;
    runtime.call(kernels.rmsNormBackward, rows * C * 0.9);
    runtime.call(kernels.sumPartialRows, CHUNKS * C * 0.5);
  });
  return true;
};

export const normBindings = { rmsNorm, rmsNormBackward };
