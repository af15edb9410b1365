/** @file How elementwise kernels run on the device. */
import { hash32 } from '../../numerics/hash32.ts';
import { sizeOf } from '../../shape.ts';
import { broadcastReading, planStrided } from '../axes.ts';
import { cellOf, line } from '../calls.ts';
import type { KernelSource } from '../kernel-source.ts';
import * as kernels from '../kernels/elementwise.ts';
import { type BinaryName, binaryLine, binaryStrided, unarySources } from '../kernels/elementwise.ts';
import type { Plain, Program } from './program.ts';
import { strided } from './strided.ts';

const unary =
  (k: KernelSource): Plain =>
  (calls, [y], [x]) =>
    calls.into(cellOf(y), k, line(sizeOf(y.shape)), [cellOf(x)]);

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

const dropout: Program<'dropout'> = (calls, [y], [x], { rate, seed }) => {
  const n = sizeOf(x.shape);
  const scale = Math.fround(1 / (1 - rate));
  // hash < rate * 2^32, for a whole hash
  const threshold = Math.ceil(rate * 2 ** 32);
  if (calls.queue.driver.integers) {
    const parts = [seed | 0, Math.floor(threshold / 65536), threshold % 65536];
    return calls.into(cellOf(y), kernels.dropout, line(n), [cellOf(x)], [...parts, scale]);
  }
  const mask = new Float32Array(n);
  for (let i = 0; i < n; i++) mask[i] = hash32(seed, i) < threshold ? 0 : scale;
  calls.into(cellOf(y), binaryLine.mul, line(n), [cellOf(x), calls.upload(mask)], [1, 1]);
};

export const elementwisePrograms = {
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
  erf: unary(unarySources.erf),
  toI32: unary(unarySources.toI32),
  toF32: unary(unarySources.toF32),
  affine: ((calls, [y], [x], { scale, shift }) =>
    calls.into(cellOf(y), kernels.affine, line(sizeOf(y.shape)), [cellOf(x)], [scale, shift])) as Program<'affine'>,
  dropout,
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  maximum: binary('maximum'),
  minimum: binary('minimum'),
  greater: binary('greater'),
  equal: binary('equal'),
  notEqual: binary('notEqual'),
  where: ((calls, [y], ins) =>
    strided(
      calls,
      kernels.whereStrided,
      y,
      ins.map(cellOf),
      ins.map((x) => broadcastReading(x.shape, y.shape)),
    )) as Plain,
  swiGlu: ((calls, [y], [a, b]) =>
    calls.into(cellOf(y), kernels.swiGlu, line(sizeOf(y.shape)), [cellOf(a), cellOf(b)])) as Plain,
  swiGluBackward: ((calls, [da, db], [a, b, g]) => {
    const all = line(sizeOf(a.shape));
    calls.into(cellOf(da), kernels.swiGluGate, all, [cellOf(a), cellOf(b), cellOf(g)]);
    calls.into(cellOf(db), kernels.swiGluUp, all, [cellOf(a), cellOf(g)]);
  }) as Plain,
};
