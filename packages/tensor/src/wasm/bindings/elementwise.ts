/** @file Elementwise kernels, broadcasting included; see assembly/elementwise.ts. */
import type { Operand } from '../../backend.ts';
import type { None } from '../../contract.ts';
import { sizeOf } from '../../shape.ts';
import * as args from '../arguments/elementwise.ts';
import { collapseBroadcast } from '../broadcast.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding, Run } from './binding.ts';

function runUnary(runtime: WasmRuntime, op: number, y: Operand, x: Operand, scale: number, shift: number): boolean {
  const { ints, floats, kernels } = runtime;
  const n = sizeOf(x.shape);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.op] = op;
  ints[args.n] = n;
  floats[args.scale] = scale;
  floats[args.shift] = shift;
  runtime.call(kernels.unary, n * 0.6);
  return true;
}

/** y = a op b, or y = a broadcast for `args.FIRST`. */
export function runBinary(runtime: WasmRuntime, op: number, y: Operand, a: Operand, b: Operand): boolean {
  const plan = collapseBroadcast(y.shape, a.shape, b.shape);
  if (plan === undefined) return false;
  const { ints, kernels } = runtime;
  ints[args.y] = address(y);
  ints[args.a] = address(a);
  ints[args.b] = address(b);
  ints[args.op] = op;
  ints[args.rows] = plan.rows;
  ints[args.columns] = plan.columns;
  ints[args.aRow] = plan.aRow;
  ints[args.aColumn] = plan.aColumn;
  ints[args.bRow] = plan.bRow;
  ints[args.bColumn] = plan.bColumn;
  runtime.call(kernels.binary, plan.rows * plan.columns * 0.4);
  return true;
}

const unary =
  (op: number): Run<None> =>
  (runtime, [y], [x]) =>
    runUnary(runtime, op, y, x, 0, 0);

const binary =
  (op: number): Run<None> =>
  (runtime, [y], [a, b]) =>
    runBinary(runtime, op, y, a, b);

const affine: Binding<'affine'> = (runtime, [y], [x], { scale, shift }) =>
  runUnary(runtime, args.AFFINE, y, x, scale, shift);

const dropout: Binding<'dropout'> = (runtime, [y], [x], { rate, seed }) => {
  const { ints, floats, kernels } = runtime;
  const n = sizeOf(x.shape);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.n] = n;
  ints[args.seed] = seed;
  ints[args.threshold] = Math.min(Math.ceil(rate * 2 ** 32), 2 ** 32 - 1);
  floats[args.scale] = 1 / (1 - rate);
  runtime.call(kernels.dropout, n);
  return true;
};

const swiGlu: Binding<'swiGlu'> = (runtime, [y], [a, b]) => {
  const { ints, kernels } = runtime;
  const n = sizeOf(a.shape);
  ints[args.y] = address(y);
  ints[args.a] = address(a);
  ints[args.b] = address(b);
  ints[args.n] = n;
  runtime.call(kernels.swiGlu, n * 0.7);
  return true;
};

const swiGluBackward: Binding<'swiGluBackward'> = (runtime, [da, db], [a, b, g]) => {
  const { ints, kernels } = runtime;
  const n = sizeOf(a.shape);
  ints[args.da] = address(da);
  ints[args.db] = address(db);
  ints[args.a] = address(a);
  ints[args.b] = address(b);
  ints[args.g] = address(g);
  ints[args.n] = n;
  runtime.call(kernels.swiGluBackward, n * 1.3);
  return true;
};

export const elementwiseBindings = {
  neg: unary(args.NEG),
  exp: unary(args.EXP),
  log: unary(args.LOG),
  sqrt: unary(args.SQRT),
  reciprocal: unary(args.RECIPROCAL),
  tanh: unary(args.TANH),
  sigmoid: unary(args.SIGMOID),
  abs: unary(args.ABS),
  sign: unary(args.SIGN),
  erf: unary(args.ERF),
  toI32: unary(args.TO_I32),
  toF32: unary(args.TO_F32),
  affine,
  dropout,
  add: binary(args.ADD),
  sub: binary(args.SUB),
  mul: binary(args.MUL),
  div: binary(args.DIV),
  maximum: binary(args.MAXIMUM),
  minimum: binary(args.MINIMUM),
  greater: binary(args.GREATER),
  equal: binary(args.EQUAL),
  swiGlu,
  swiGluBackward,
};
