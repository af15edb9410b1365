/**
 * @file Kernels that treat each element alone. Loops run eight at a time, both halves loaded before either is stored (see
 * matmul/tile-6x16.ts). The last ones may lie beyond the end: reading there is harmless (every allocation has room behind it), and
 * only what is valid of the result is stored.
 */
import * as args from '../../arguments/elementwise';
import { float, int, partBegin, pointer, scratch } from '../core/call';
import { storeTail } from '../core/simd';
import {
  Abs, Add, Affine, Div, Equal, Erf, Exp, Greater, Log, Maximum, Minimum,
  Mul, Neg, NotEqual, Reciprocal, Sigmoid, Sign, Sqrt, Sub, Tanh, ToF32, ToI32, Wave, Op,
} from './operations';
import { GRAIN, storeUpTo4 } from './rows';

/**
 * y[i] = f(a, b) for n elements; aStep and bStep are 16, or 0 for an operand that repeats its first four lanes. Where both are 16, the steps
 * are written down, because V8 joins only what it sees to be neighbours.
 */
function combineRow<F extends Op>(y: usize, a: usize, aStep: usize, b: usize, bStep: usize, n: i32): void {
  const f = changetype<F>(0);
  const end = y + (<usize>(n & ~7) << 2);
  if (aStep & bStep) {
    for (; y < end; y += 32) {
      const y0 = f.of(v128.load(a), v128.load(b), f32x4.splat(0));
      const y1 = f.of(v128.load(a, 16), v128.load(b, 16), f32x4.splat(0));
      v128.store(y, y0);
      v128.store(y, y1, 16);
      a += 32;
      b += 32;
    }
  } else if (aStep) {
    const repeated = v128.load(b);
    for (; y < end; y += 32) {
      const y0 = f.of(v128.load(a), repeated, repeated);
      const y1 = f.of(v128.load(a, 16), repeated, repeated);
      v128.store(y, y0);
      v128.store(y, y1, 16);
      a += 32;
    }
  }
  for (; y < end; y += 32) {
    const y0 = f.of(v128.load(a), v128.load(b), f32x4.splat(0));
    const y1 = f.of(v128.load(a + aStep), v128.load(b + bStep), f32x4.splat(0));
    v128.store(y, y0);
    v128.store(y, y1, 16);
    a += aStep << 1;
    b += bStep << 1;
  }
  for (let rest = n & 7; rest > 0; rest -= 4) {
    storeUpTo4(y, f.of(v128.load(a), v128.load(b), f32x4.splat(0)), rest);
    y += 16;
    a += aStep;
    b += bStep;
  }
}

/** One of the operations of two operands. */
function combine(op: i32, y: usize, a: usize, aStep: usize, b: usize, bStep: usize, n: i32): void {
  switch (op) {
    case args.ADD: return combineRow<Add>(y, a, aStep, b, bStep, n);
    case args.SUB: return combineRow<Sub>(y, a, aStep, b, bStep, n);
    case args.MUL: return combineRow<Mul>(y, a, aStep, b, bStep, n);
    case args.DIV: return combineRow<Div>(y, a, aStep, b, bStep, n);
    case args.MAXIMUM: return combineRow<Maximum>(y, a, aStep, b, bStep, n);
    case args.MINIMUM: return combineRow<Minimum>(y, a, aStep, b, bStep, n);
    case args.GREATER: return combineRow<Greater>(y, a, aStep, b, bStep, n);
    case args.EQUAL: return combineRow<Equal>(y, a, aStep, b, bStep, n);
    default: return combineRow<NotEqual>(y, a, aStep, b, bStep, n);
  }
}

/**
 * Kernel: y = a op b over a matrix [rows, columns]. Arguments: y, a, b, op, rows, columns, then the row and column steps of a
 * and b in elements; a column step is 1, or 0 to repeat one value along the row, and a row step of 0 repeats the row.
 */
export function binary(part: i32, parts: i32): void {
  let y = pointer(args.y), a = pointer(args.a), b = pointer(args.b);
  const op = int(args.op);
  let rows = int(args.rows), columns = int(args.columns);
  const aRow = int(args.aRow), aColumn = int(args.aColumn), bRow = int(args.bRow), bColumn = int(args.bColumn);
  const yRow = columns;
  if (rows == 1) {
    const begin = partBegin(columns, GRAIN, part, parts);
    columns = partBegin(columns, GRAIN, part + 1, parts) - begin;
    y += <usize>begin << 2;
    a += <usize>(begin * aColumn) << 2;
    b += <usize>(begin * bColumn) << 2;
  } else {
    const begin = partBegin(rows, 1, part, parts);
    rows = partBegin(rows, 1, part + 1, parts) - begin;
    y += <usize>(begin * yRow) << 2;
    a += <usize>(begin * aRow) << 2;
    b += <usize>(begin * bRow) << 2;
  }
  const repeatedA = scratch(), repeatedB = scratch() + 16;
  for (let i = 0; i < rows; i++) {
    // A repeated value is spread over four lanes, and its pointer stands still.
    if (!aColumn) v128.store(repeatedA, v128.load_splat<f32>(a));
    if (!bColumn) v128.store(repeatedB, v128.load_splat<f32>(b));
    combine(op, y, aColumn ? a : repeatedA, aColumn << 4, bColumn ? b : repeatedB, bColumn << 4, columns);
    y += <usize>yRow << 2;
    a += <usize>aRow << 2;
    b += <usize>bRow << 2;
  }
}

/** a where c is not 0, else b. */
// @ts-ignore: decorator
@inline
function choose(c: v128, a: v128, b: v128): v128 {
  return v128.bitselect(b, a, f32x4.eq(c, f32x4.splat(0)));
}

/** Kernel: y = a where c is not 0, else b, over a matrix [rows, columns]. Arguments: y, c, a, b, and rows, columns and steps as in `binary`. */
export function where(part: i32, parts: i32): void {
  const rows = int(args.rows), columns = int(args.columns);
  // A single row is cut across, more rows are cut between.
  const begin = rows == 1 ? 0 : partBegin(rows, 1, part, parts), end = rows == 1 ? 1 : partBegin(rows, 1, part + 1, parts);
  const first = rows == 1 ? partBegin(columns, GRAIN, part, parts) : 0;
  const n = (rows == 1 ? partBegin(columns, GRAIN, part + 1, parts) : columns) - first;
  const aColumn = int(args.aColumn), bColumn = int(args.bColumn), cColumn = int(args.cColumn);
  const aStep = <usize>aColumn << 4, bStep = <usize>bColumn << 4, cStep = <usize>cColumn << 4;
  const repeated = scratch();
  for (let i = begin; i < end; i++) {
    let y = pointer(args.y) + (<usize>(i * columns + first) << 2);
    let a = pointer(args.a) + (<usize>(i * int(args.aRow) + first * aColumn) << 2);
    let b = pointer(args.b) + (<usize>(i * int(args.bRow) + first * bColumn) << 2);
    let c = pointer(args.c) + (<usize>(i * int(args.cRow) + first * cColumn) << 2);
    // A repeated value is spread over four lanes, and its pointer stands still.
    if (!aColumn) v128.store(repeated, v128.load_splat<f32>(a)), a = repeated;
    if (!bColumn) v128.store(repeated + 16, v128.load_splat<f32>(b)), b = repeated + 16;
    if (!cColumn) v128.store(repeated + 32, v128.load_splat<f32>(c)), c = repeated + 32;
    const last = y + (<usize>(n & ~7) << 2);
    // As in combineRow.
    if (aStep & bStep & cStep) {
      for (; y < last; y += 32) {
        const y0 = choose(v128.load(c), v128.load(a), v128.load(b));
        const y1 = choose(v128.load(c, 16), v128.load(a, 16), v128.load(b, 16));
        v128.store(y, y0);
        v128.store(y, y1, 16);
        a += 32;
        b += 32;
        c += 32;
      }
    }
    for (; y < last; y += 32) {
      const y0 = choose(v128.load(c), v128.load(a), v128.load(b));
      const y1 = choose(v128.load(c + cStep), v128.load(a + aStep), v128.load(b + bStep));
      v128.store(y, y0);
      v128.store(y, y1, 16);
      a += aStep << 1;
      b += bStep << 1;
      c += cStep << 1;
    }
    for (let rest = n & 7; rest > 0; rest -= 4) {
      storeUpTo4(y, choose(v128.load(c), v128.load(a), v128.load(b)), rest);
      y += 16;
      a += aStep;
      b += bStep;
      c += cStep;
    }
  }
}

/** y[i] = f(x[i]) for n elements, n a multiple of 8. */
function applyAll<F extends Op>(y: usize, x: usize, n: i32, scale: v128, shift: v128): void {
  const f = changetype<F>(0);
  for (const end = y + (<usize>n << 2); y < end; y += 32) {
    const y0 = f.of(v128.load(x), scale, shift), y1 = f.of(v128.load(x, 16), scale, shift);
    v128.store(y, y0);
    v128.store(y, y1, 16);
    x += 32;
  }
}

/** One of the operations of one operand, for whole eights. */
function applyEights(op: i32, y: usize, x: usize, n: i32, scale: v128, shift: v128): void {
  switch (op) {
    case args.NEG: return applyAll<Neg>(y, x, n, scale, shift);
    case args.EXP: return applyAll<Exp>(y, x, n, scale, shift);
    case args.LOG: return applyAll<Log>(y, x, n, scale, shift);
    case args.SQRT: return applyAll<Sqrt>(y, x, n, scale, shift);
    case args.RECIPROCAL: return applyAll<Reciprocal>(y, x, n, scale, shift);
    case args.TANH: return applyAll<Tanh>(y, x, n, scale, shift);
    case args.SIGMOID: return applyAll<Sigmoid>(y, x, n, scale, shift);
    case args.ABS: return applyAll<Abs>(y, x, n, scale, shift);
    case args.SIGN: return applyAll<Sign>(y, x, n, scale, shift);
    case args.ERF: return applyAll<Erf>(y, x, n, scale, shift);
    case args.TO_I32: return applyAll<ToI32>(y, x, n, scale, shift);
    case args.TO_F32: return applyAll<ToF32>(y, x, n, scale, shift);
    case args.WAVE: return applyAll<Wave>(y, x, n, scale, shift);
    default: return applyAll<Affine>(y, x, n, scale, shift);
  }
}

/** Kernel: y[i] = f(x[i]), f being `op`. Arguments: y, x, op, n, scale, shift. */
export function unary(part: i32, parts: i32): void {
  const n = int(args.n), op = int(args.op);
  const begin = partBegin(n, GRAIN, part, parts);
  const count = partBegin(n, GRAIN, part + 1, parts) - begin, whole = count & ~7;
  const y = pointer(args.y) + (<usize>begin << 2), x = pointer(args.x) + (<usize>begin << 2);
  const scale = f32x4.splat(float(args.scale)), shift = f32x4.splat(float(args.shift));
  applyEights(op, y, x, whole, scale, shift);
  const rest = count - whole;
  if (rest == 0) return;
  // The last eight are left elsewhere, so that each operation has one loop.
  const last = scratch(), to = y + (<usize>whole << 2);
  applyEights(op, last, x + (<usize>whole << 2), 8, scale, shift);
  storeUpTo4(to, v128.load(last), rest);
  if (rest > 4) storeTail(to + 16, v128.load(last, 16), rest - 4);
}
