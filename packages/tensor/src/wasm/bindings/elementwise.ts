/** @file Elementwise kernels, broadcasting included; see assembly/elementwise/. */
import type { Operand } from '../../backend.ts';
import type { None } from '../../contract.ts';
import { sameShape, sizeOf, stridesOf } from '../../shape.ts';
import * as args from '../arguments/elementwise.ts';
import { type BroadcastPlan, collapseBroadcast, oneRow } from '../broadcast.ts';
import type { Kernel } from '../module.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding, Run } from './binding.ts';
import { copyBox, readingOf } from './box.ts';

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

/** The words of the operands of a kernel that broadcasts: address, step from row to row, from column to column. */
const OPERANDS = [
  [args.a, args.aRow, args.aColumn],
  [args.b, args.bRow, args.bColumn],
  [args.c, args.cRow, args.cColumn],
] as const;

/** y = a op b ..., the operands being at `addresses`. */
function callBroadcast(
  runtime: WasmRuntime,
  kernel: Kernel,
  op: number,
  y: Operand,
  { rows, columns, steps }: BroadcastPlan,
  addresses: readonly number[],
): void {
  const { ints } = runtime;
  ints[args.y] = address(y);
  ints[args.op] = op;
  ints[args.rows] = rows;
  ints[args.columns] = columns;
  for (let i = 0; i < addresses.length; i++) {
    const [at, row, column] = OPERANDS[i];
    ints[at] = addresses[i];
    ints[row] = steps[i].row;
    ints[column] = steps[i].column;
  }
  runtime.call(kernel, rows * columns * 0.4);
}

/** Runs a kernel that broadcasts its operands. Where they need three loops, they are repeated in memory first. */
function runBroadcast(runtime: WasmRuntime, kernel: Kernel, op: number, y: Operand, ins: readonly Operand[]): true {
  const plan = collapseBroadcast(y.shape, ins);
  if (plan) {
    callBroadcast(runtime, kernel, op, y, plan, ins.map(address));
    return true;
  }
  const size = sizeOf(y.shape);
  runtime.withTemporary(ins.length * size * 4, (at) => {
    const addresses = ins.map((x, i) => {
      if (sameShape(x.shape, y.shape)) return address(x);
      const to = at + i * size * 4;
      copyBox(runtime, y.shape, { at: to, steps: stridesOf(y.shape) }, readingOf(x, y.shape));
      return to;
    });
    callBroadcast(runtime, kernel, op, y, oneRow(size), addresses);
  });
  return true;
}

const unary =
  (op: number, shift = 0): Run<None> =>
  (runtime, [y], [x]) =>
    runUnary(runtime, op, y, x, 0, shift);

const binary =
  (op: number): Run<None> =>
  (runtime, [y], ins) =>
    runBroadcast(runtime, runtime.kernels.binary, op, y, ins);

const where: Binding<'where'> = (runtime, [y], [condition, a, b]) =>
  runBroadcast(runtime, runtime.kernels.where, 0, y, [a, b, condition]);

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
  sin: unary(args.WAVE),
  cos: unary(args.WAVE, 1),
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
  notEqual: binary(args.NOT_EQUAL),
  where,
  swiGlu,
  swiGluBackward,
};
