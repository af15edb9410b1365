/** @file Elementwise kernels and broadcasting; see assembly/elementwise.ts. */
import type { Operand } from '../../backend.ts';
import type { None } from '../../contract.ts';
import { sizeOf } from '../../shape.ts';
import { binaryOps, collapseBroadcast, unaryOps } from '../broadcast.ts';
import { address, type Machine } from '../machine.ts';
import { type Native, put, type Run } from './call.ts';

function unary(op: string, scale = 0, shift = 0): Run<None> {
  const code = unaryOps.indexOf(op);
  return (m, [y], [x]) => runUnary(m, code, y, x, scale, shift);
}

function runUnary(m: Machine, code: number, y: Operand, x: Operand, scale: number, shift: number): boolean {
  const { ints, floats } = m;
  const n = sizeOf(x.shape);
  ints[0] = address(y);
  ints[1] = address(x);
  ints[2] = code;
  ints[3] = n;
  floats[4] = scale;
  floats[5] = shift;
  m.call('unary', n * 0.6);
  return true;
}

function runBinary(m: Machine, code: number, y: Operand, a: Operand, b: Operand): boolean {
  const plan = collapseBroadcast(y.shape, a.shape, b.shape);
  if (plan === undefined) return false;
  const { ints } = m;
  ints[0] = address(y);
  ints[1] = address(a);
  ints[2] = address(b);
  ints[3] = code;
  ints[4] = plan.rows;
  ints[5] = plan.columns;
  ints[6] = plan.aRow;
  ints[7] = plan.aColumn;
  ints[8] = plan.bRow;
  ints[9] = plan.bColumn;
  m.call('binary', plan.rows * plan.columns * 0.4);
  return true;
}

function binary(op: string): Run<None> {
  const code = binaryOps.indexOf(op);
  return (m, [y], [a, b]) => runBinary(m, code, y, a, b);
}

const affine: Native<'affine'> = (m, [y], [x], { scale, shift }) =>
  runUnary(m, unaryOps.indexOf('affine'), y, x, scale, shift);

const dropout: Native<'dropout'> = (m, [y], [x], { rate, seed }) => {
  const n = sizeOf(x.shape);
  put(m, [y, x], [n, seed, Math.min(Math.ceil(rate * 2 ** 32), 2 ** 32 - 1)]);
  m.floats[5] = 1 / (1 - rate);
  m.call('dropout', n);
  return true;
};

const swiGlu: Native<'swiGlu'> = (m, [y], [a, b]) => {
  const n = sizeOf(a.shape);
  put(m, [y, a, b], [n]);
  m.call('swiGlu', n * 0.7);
  return true;
};

const swiGluBackward: Native<'swiGluBackward'> = (m, [da, db], [a, b, g]) => {
  const n = sizeOf(a.shape);
  put(m, [da, db, a, b, g], [n]);
  m.call('swiGluBackward', n * 1.3);
  return true;
};

const broadcastTo: Native<'broadcastTo'> = (m, [y], [x]) => runBinary(m, binaryOps.indexOf('first'), y, x, x);

export const elementwise = {
  neg: unary('neg'),
  exp: unary('exp'),
  log: unary('log'),
  sqrt: unary('sqrt'),
  reciprocal: unary('reciprocal'),
  tanh: unary('tanh'),
  sigmoid: unary('sigmoid'),
  abs: unary('abs'),
  sign: unary('sign'),
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  maximum: binary('maximum'),
  minimum: binary('minimum'),
  greater: binary('greater'),
  equal: binary('equal'),
  affine,
  dropout,
  swiGlu,
  swiGluBackward,
  broadcastTo,
};
