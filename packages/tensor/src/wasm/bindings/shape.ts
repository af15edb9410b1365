/** @file Kernels that move elements; see assembly/shape.ts. */
import { type Shape, sameShape, sizeOf, stridesOf } from '../../shape.ts';
import * as args from '../arguments/shape.ts';
import { address } from '../runtime.ts';
import type { Binding } from './binding.ts';
import { copyBox, readingOf } from './box.ts';

/** The address of the element at `index`. */
const elementAt = (base: number, strides: readonly number[], index: readonly number[]): number =>
  base + index.reduce((sum, i, axis) => sum + i * strides[axis], 0) * 4;

const slice: Binding<'slice'> = (runtime, [y], [x], { begin }) => {
  const steps = stridesOf(x.shape);
  const from = { at: elementAt(address(x), steps, begin), steps };
  copyBox(runtime, y.shape, { at: address(y), steps: stridesOf(y.shape) }, from);
  return true;
};

const pad: Binding<'pad'> = (runtime, [y], [x], { before }) => {
  const { ints, kernels } = runtime;
  const steps = stridesOf(y.shape);
  ints[args.to] = address(y);
  ints[args.length] = sizeOf(y.shape);
  runtime.call(kernels.fillZero, sizeOf(y.shape) * 0.1);
  const to = { at: elementAt(address(y), steps, before), steps };
  copyBox(runtime, x.shape, to, { at: address(x), steps: stridesOf(x.shape) });
  return true;
};

const concat: Binding<'concat'> = (runtime, [y], ins, { axis }) => {
  const steps = stridesOf(y.shape);
  let at = address(y);
  for (const x of ins) {
    copyBox(runtime, x.shape, { at, steps }, { at: address(x), steps: stridesOf(x.shape) });
    at += x.shape[axis] * steps[axis] * 4;
  }
  return true;
};

/** A shape and an order of its axes without the axes of size 1, which can stand anywhere. */
function withoutOnes(shape: Shape, perm: readonly number[]): [sizes: number[], order: number[]] {
  const kept = [...shape.keys()].filter((i) => shape[i] !== 1);
  return [kept.map((i) => shape[i]), perm.filter((i) => shape[i] !== 1).map((i) => kept.indexOf(i))];
}

/** Permutations that swap two neighbouring runs of axes behind some that stay, matrices transposed, have a kernel. */
const transpose: Binding<'transpose'> = (runtime, [y], [x], { perm }) => {
  const [sizes, order] = withoutOnes(x.shape, perm);
  const lead = order.findIndex((p, i) => p !== i);
  const split = order[lead];
  const axes = [...order.keys()];
  const swapped = [...axes.slice(0, lead), ...axes.slice(split), ...axes.slice(lead, split)];
  if (lead < 0 || !sameShape(order, swapped)) {
    const steps = stridesOf(x.shape);
    const from = { at: address(x), steps: perm.map((p) => steps[p]) };
    copyBox(runtime, y.shape, { at: address(y), steps: stridesOf(y.shape) }, from);
    return true;
  }
  const batch = sizeOf(sizes.slice(0, lead));
  const rows = sizeOf(sizes.slice(lead, split));
  const columns = sizeOf(sizes.slice(split));
  const { ints, kernels } = runtime;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.batch] = batch;
  ints[args.rows] = rows;
  ints[args.columns] = columns;
  runtime.call(kernels.transpose, batch * rows * columns);
  return true;
};

const broadcastTo: Binding<'broadcastTo'> = (runtime, [y], [x]) => {
  copyBox(runtime, y.shape, { at: address(y), steps: stridesOf(y.shape) }, readingOf(x, y.shape));
  return true;
};

export const shapeBindings = { transpose, broadcastTo, slice, pad, concat };
