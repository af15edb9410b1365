/** @file How kernels that move elements run on the device. */
import type { Operand } from '../../backend.ts';
import { type Shape, sizeOf, stridesOf } from '../../shape.ts';
import { broadcastReading, planStrided, type Reading } from '../axes.ts';
import { type Calls, cellOf, line, rows } from '../calls.ts';
import * as kernels from '../kernels/shape.ts';
import type { Plain, Program } from './program.ts';
import { strided } from './strided.ts';

/** A copy of x read with the given steps. */
function copyOf(calls: Calls, y: Operand, x: Operand, reading: Reading): void {
  if (sizeOf(y.shape) === 0) return;
  const { line: steps } = planStrided('copy', y.shape, [reading]);
  if (steps) calls.into(cellOf(y), kernels.copyLine, line(sizeOf(y.shape)), [cellOf(x)], [reading.offset, steps[0]]);
  else strided(calls, kernels.copyStrided, y, [cellOf(x)], [reading]);
}

const product = (shape: Shape, from: number, to: number): number => sizeOf(shape.slice(from, to));

const pad: Program<'pad'> = (calls, [y], [x], { before, after }) => {
  if (sizeOf(y.shape) === 0) return;
  if (sizeOf(x.shape) === 0) return calls.fill(cellOf(y), 0);
  const shape = [...x.shape];
  const axes = [...shape.keys()].filter((axis) => before[axis] + after[axis] > 0);
  let from = cellOf(x);
  if (axes.length === 0) return calls.copy(cellOf(y), from);
  axes.forEach((axis, i) => {
    const outer = product(shape, 0, axis);
    const inner = product(shape, axis + 1, shape.length);
    const sizes = [before[axis] * inner, shape[axis] * inner];
    shape[axis] += before[axis] + after[axis];
    const target = i === axes.length - 1 ? cellOf(y) : calls.temporary(sizeOf(shape));
    if (outer === 1) calls.into(target, kernels.padLine, line(shape[axis] * inner), [from], sizes);
    else calls.into(target, kernels.padRows, rows(shape[axis] * inner, outer), [from], sizes);
    from = target;
  });
};

/** Two by two, in a tree: a kernel takes few arrays, and each element moves only log2(count) times. */
const concat: Program<'concat'> = (calls, [y], ins, { axis }) => {
  const outer = product(y.shape, 0, axis);
  let parts = ins
    .map((x) => ({ cell: cellOf(x), width: product(x.shape, axis, x.shape.length) }))
    .filter(({ width }) => width > 0);
  if (sizeOf(y.shape) === 0) return;
  if (parts.length === 1) return calls.copy(cellOf(y), parts[0].cell);
  while (parts.length > 1) {
    const joined: typeof parts = [];
    for (let i = 0; i < parts.length; i += 2) {
      if (i + 1 === parts.length) {
        joined.push(parts[i]);
        continue;
      }
      const [a, b] = [parts[i], parts[i + 1]];
      const width = a.width + b.width;
      const target = parts.length === 2 ? cellOf(y) : calls.temporary(outer * width);
      const sizes = [a.width, b.width];
      if (outer === 1) calls.into(target, kernels.joinLine, line(width), [a.cell, b.cell], sizes);
      else calls.into(target, kernels.joinRows, rows(width, outer), [a.cell, b.cell], sizes);
      joined.push({ cell: target, width });
    }
    parts = joined;
  }
};

export const shapePrograms = {
  reshape: (() => {
    throw new Error('reshape moves no data and is never run');
  }) as Plain,
  transpose: ((calls, [y], [x], { perm }) => {
    const strides = stridesOf(x.shape);
    copyOf(calls, y, x, { offset: 0, steps: perm.map((p) => strides[p]) });
  }) as Program<'transpose'>,
  broadcastTo: ((calls, [y], [x]) => copyOf(calls, y, x, broadcastReading(x.shape, y.shape))) as Plain,
  slice: ((calls, [y], [x], { begin }) => {
    const steps = stridesOf(x.shape);
    copyOf(calls, y, x, { offset: begin.reduce((sum, b, i) => sum + b * steps[i], 0), steps });
  }) as Program<'slice'>,
  pad,
  concat,
};
