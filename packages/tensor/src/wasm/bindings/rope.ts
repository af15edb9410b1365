/** @file Rotary position embedding; see assembly/rope.ts. */
import * as args from '../arguments/rope.ts';
import { address } from '../runtime.ts';
import type { Binding } from './binding.ts';

const rope: Binding<'rope'> = (runtime, [y], [x, cos, sin, positions], { headDim, inverse }) => {
  const { ints, kernels } = runtime;
  const [rows, width] = x.shape;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.cos] = address(cos);
  ints[args.sin] = address(sin);
  ints[args.positions] = address(positions);
  ints[args.rows] = rows;
  ints[args.width] = width;
  ints[args.headDim] = headDim;
  ints[args.inverse] = inverse ? 1 : 0;
  runtime.call(kernels.rope, rows * width * 0.3);
  return true;
};

export const ropeBindings = { rope };
