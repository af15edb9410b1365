/** @file How elementwise operations, reductions and changes of shape run on the device. */
import type { Operand } from '../backend.ts';
import type { KernelAttrs, KernelName } from '../contract.ts';
import { hash32 } from '../hash32.ts';
import { type Shape, sizeOf, stridesOf } from '../shape.ts';
import { broadcastReading, planStrided, type Reading, reducedRuns } from './axes.ts';
import { type Calls, cellOf, line, rows } from './calls.ts';
import type { Cell } from './cell.ts';
import type { KernelSource } from './kernel-source.ts';
import * as source from './sources-elementwise.ts';
import { type BinaryName, binaryLine, binaryStrided, unarySources } from './sources-elementwise.ts';
import type { Fold } from './sources-rows.ts';

export type Program<K extends KernelName> = (
  calls: Calls,
  outs: readonly Operand[],
  ins: readonly Operand[],
  attrs: KernelAttrs[K],
) => void;
type Plain = (calls: Calls, outs: readonly Operand[], ins: readonly Operand[]) => void;

const unary =
  (k: KernelSource): Plain =>
  (calls, [y], [x]) =>
    calls.into(cellOf(y), k, line(sizeOf(y.shape)), [cellOf(x)]);

/** Runs a strided kernel: its sizes, then the steps of each operand. */
function strided(
  calls: Calls,
  k: KernelSource,
  y: Operand,
  arrays: readonly Cell[],
  readings: readonly Reading[],
): void {
  if (sizeOf(y.shape) === 0) return;
  const plan = planStrided(k.name, y.shape, readings);
  calls.into(cellOf(y), k, rows(plan.columns, plan.rows), arrays, [
    ...plan.sizes,
    ...plan.steps.flat(),
    ...plan.sizes.map((size) => 1 / size),
  ]);
}

const binary =
  (name: BinaryName): Plain =>
  (calls, [y], ins) => {
    if (sizeOf(y.shape) === 0) return;
    const arrays = ins.map(cellOf);
    const readings = ins.map((x) => broadcastReading(x.shape, y.shape));
    const { line: steps } = planStrided(name, y.shape, readings);
    if (steps) calls.into(cellOf(y), binaryLine[name], line(sizeOf(y.shape)), arrays, steps);
    else strided(calls, binaryStrided[name], y, arrays, readings);
  };

/** A copy of x read with the given steps. */
function copyOf(calls: Calls, y: Operand, x: Operand, reading: Reading): void {
  if (sizeOf(y.shape) === 0) return;
  const { line: steps } = planStrided('copy', y.shape, [reading]);
  if (steps) calls.into(cellOf(y), source.copyLine, line(sizeOf(y.shape)), [cellOf(x)], [reading.offset, steps[0]]);
  else strided(calls, source.copyStrided, y, [cellOf(x)], [reading]);
}

/** Folds run after run, from the last. */
function reduce(
  fold: Fold,
): (calls: Calls, outs: readonly Operand[], ins: readonly Operand[], axes: readonly number[]) => void {
  return (calls, [y], [x], axes) => {
    const runs = reducedRuns(x.shape, axes);
    let from = cellOf(x);
    if (!runs.some((run) => run.reduced)) return calls.copy(cellOf(y), from);
    const before = (at: number) => runs.slice(0, at).reduce((n, run) => n * run.size, 1);
    for (let at = runs.length - 1; at >= 0; at--) {
      if (!runs[at].reduced) continue;
      const outer = before(at);
      const inner = runs.slice(at + 1).reduce((n, run) => n * run.size, 1);
      const last = !runs.slice(0, at).some((run) => run.reduced);
      const target = last ? cellOf(y) : calls.temporary(outer * inner);
      calls.fold(fold, target, from, outer, runs[at].size, inner);
      from = target;
      runs.splice(at, 1);
    }
  };
}

const [foldSum, foldMax] = [reduce('sum'), reduce('max')];

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
    if (outer === 1) calls.into(target, source.padLine, line(shape[axis] * inner), [from], sizes);
    else calls.into(target, source.padRows, rows(shape[axis] * inner, outer), [from], sizes);
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
      if (outer === 1) calls.into(target, source.joinLine, line(width), [a.cell, b.cell], sizes);
      else calls.into(target, source.joinRows, rows(width, outer), [a.cell, b.cell], sizes);
      joined.push({ cell: target, width });
    }
    parts = joined;
  }
};

const dropout: Program<'dropout'> = (calls, [y], [x], { rate, seed }) => {
  const n = sizeOf(x.shape);
  const scale = Math.fround(1 / (1 - rate));
  // hash < rate * 2^32, for a whole hash
  const threshold = Math.ceil(rate * 2 ** 32);
  if (calls.queue.driver.integers) {
    const parts = [seed | 0, Math.floor(threshold / 65536), threshold % 65536];
    return calls.into(cellOf(y), source.dropout, line(n), [cellOf(x)], [...parts, scale]);
  }
  const mask = new Float32Array(n);
  for (let i = 0; i < n; i++) mask[i] = hash32(seed, i) < threshold ? 0 : scale;
  calls.into(cellOf(y), binaryLine.mul, line(n), [cellOf(x), calls.upload(mask)], [1, 1]);
};

export const shapePrograms = {
  neg: unary(unarySources.neg),
  exp: unary(unarySources.exp),
  log: unary(unarySources.log),
  sqrt: unary(unarySources.sqrt),
  reciprocal: unary(unarySources.reciprocal),
  sin: unary(unarySources.sin),
  cos: unary(unarySources.cos),
  tanh: unary(unarySources.tanh),
  sigmoid: unary(unarySources.sigmoid),
  abs: unary(unarySources.abs),
  sign: unary(unarySources.sign),
  affine: ((calls, [y], [x], { scale, shift }) =>
    calls.into(cellOf(y), source.affine, line(sizeOf(y.shape)), [cellOf(x)], [scale, shift])) as Program<'affine'>,
  dropout,
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  maximum: binary('maximum'),
  minimum: binary('minimum'),
  greater: binary('greater'),
  equal: binary('equal'),
  where: ((calls, [y], ins) =>
    strided(
      calls,
      source.whereStrided,
      y,
      ins.map(cellOf),
      ins.map((x) => broadcastReading(x.shape, y.shape)),
    )) as Plain,
  swiGlu: ((calls, [y], [a, b]) =>
    calls.into(cellOf(y), source.swiGlu, line(sizeOf(y.shape)), [cellOf(a), cellOf(b)])) as Plain,
  swiGluBackward: ((calls, [da, db], [a, b, g]) => {
    const all = line(sizeOf(a.shape));
    calls.into(cellOf(da), source.swiGluGate, all, [cellOf(a), cellOf(b), cellOf(g)]);
    calls.into(cellOf(db), source.swiGluUp, all, [cellOf(a), cellOf(g)]);
  }) as Plain,
  sum: ((calls, outs, ins, { axes }) => foldSum(calls, outs, ins, axes)) as Program<'sum'>,
  max: ((calls, outs, ins, { axes }) => foldMax(calls, outs, ins, axes)) as Program<'max'>,
  sumSquares: ((calls, [y], [x]) => calls.fold('squares', cellOf(y), cellOf(x), 1, sizeOf(x.shape), 1)) as Plain,
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
