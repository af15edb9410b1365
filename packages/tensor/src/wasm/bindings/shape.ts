/** @file Kernels that move elements; see assembly/shape.ts. */
import { sizeOf } from '../../shape.ts';
import { FIRST } from '../arguments/elementwise.ts';
import * as args from '../arguments/shape.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding } from './binding.ts';
import { runBinary } from './elementwise.ts';

/** y [outer, part] copied from or to a longer row: the common form of slice and concat. */
function copyPieces(
  runtime: WasmRuntime,
  to: number,
  from: number,
  count: number,
  length: number,
  toStep: number,
  fromStep: number,
): void {
  const { ints, kernels } = runtime;
  ints[args.to] = to;
  ints[args.from] = from;
  ints[args.count] = count;
  ints[args.length] = length;
  ints[args.toStep] = toStep;
  ints[args.fromStep] = fromStep;
  runtime.call(kernels.copyPieces, count * length * 0.2);
}

/** Slices that cut at most one axis after the leading one copy pieces at even steps. */
const slice: Binding<'slice'> = (runtime, [y], [x], { begin, end }) => {
  const rank = x.shape.length;
  let cut = rank;
  // The innermost axes taken whole belong to every piece.
  while (cut > 0 && begin[cut - 1] === 0 && end[cut - 1] === x.shape[cut - 1]) cut--;
  if (cut === 0) cut = Math.min(1, rank);
  if (rank === 0 || sizeOf(y.shape) === 0) return sizeOf(y.shape) === 0;
  const axis = cut - 1;
  // Before the axis that is cut, all axes must be whole, but for one that only shifts the beginning.
  let outer = 1;
  let offset = 0;
  const inner = sizeOf(x.shape.slice(cut));
  for (let i = 0; i < axis; i++) {
    const whole = begin[i] === 0 && end[i] === x.shape[i];
    if (!whole && outer !== 1) return false;
    outer *= end[i] - begin[i];
    offset = offset * x.shape[i] + begin[i];
  }
  const row = x.shape[axis] * inner;
  const length = (end[axis] - begin[axis]) * inner;
  const start = offset * row + begin[axis] * inner;
  copyPieces(runtime, address(y), address(x) + start * 4, outer, length, length, row);
  return true;
};

const concat: Binding<'concat'> = (runtime, [y], ins, { axis }) => {
  const outer = sizeOf(y.shape.slice(0, axis));
  const row = sizeOf(y.shape.slice(axis));
  let column = 0;
  for (const x of ins) {
    const length = sizeOf(x.shape.slice(axis));
    copyPieces(runtime, address(y) + column * 4, address(x), outer, length, row, length);
    column += length;
  }
  return true;
};

/** Permutations that swap two neighbouring runs of axes behind some that stay: matrices transposed. */
const transpose: Binding<'transpose'> = (runtime, [y], [x], { perm }) => {
  const rank = perm.length;
  let lead = 0;
  while (lead < rank && perm[lead] === lead) lead++;
  const split = perm[lead] ?? rank;
  for (let i = lead; i < rank; i++) {
    const expected = i - lead < rank - split ? split + (i - lead) : i - (rank - split);
    if (perm[i] !== expected) return false;
  }
  const batch = sizeOf(x.shape.slice(0, lead));
  const rows = sizeOf(x.shape.slice(lead, split));
  const columns = sizeOf(x.shape.slice(split));
  const { ints, kernels } = runtime;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.batch] = batch;
  ints[args.rows] = rows;
  ints[args.columns] = columns;
  runtime.call(kernels.transpose, batch * rows * columns);
  return true;
};

const broadcastTo: Binding<'broadcastTo'> = (runtime, [y], [x]) => runBinary(runtime, FIRST, y, x, x);

export const shapeBindings = { transpose, broadcastTo, slice, concat };
