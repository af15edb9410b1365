/** @file Kernels that only move data; see the end of assembly/rows.ts. */
import { sizeOf } from '../../shape.ts';
import { address, type Machine } from '../machine.ts';
import type { Native } from './call.ts';

/** y [outer, part] copied from or to a longer row: the common form of slice and concat. */
function copyPieces(
  m: Machine,
  to: number,
  from: number,
  count: number,
  length: number,
  toStep: number,
  fromStep: number,
): void {
  const { ints } = m;
  ints[0] = to;
  ints[1] = from;
  ints[2] = count;
  ints[3] = length;
  ints[4] = toStep;
  ints[5] = fromStep;
  m.call('copyPieces', count * length * 0.2);
}

/** Slices that cut at most one axis after the leading one copy pieces at even steps. */
const slice: Native<'slice'> = (m, [y], [x], { begin, end }) => {
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
  copyPieces(m, address(y), address(x) + start * 4, outer, length, length, row);
  return true;
};

const concat: Native<'concat'> = (m, [y], ins, { axis }) => {
  const outer = sizeOf(y.shape.slice(0, axis));
  const row = sizeOf(y.shape.slice(axis));
  let column = 0;
  for (const x of ins) {
    const length = sizeOf(x.shape.slice(axis));
    copyPieces(m, address(y) + column * 4, address(x), outer, length, row, length);
    column += length;
  }
  return true;
};

/** Permutations that swap two neighbouring runs of axes behind some that stay: matrices transposed. */
const transpose: Native<'transpose'> = (m, [y], [x], { perm }) => {
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
  const { ints } = m;
  ints[0] = address(y);
  ints[1] = address(x);
  ints[2] = batch;
  ints[3] = rows;
  ints[4] = columns;
  m.call('transpose', batch * rows * columns);
  return true;
};

export const shapes = { slice, concat, transpose };
