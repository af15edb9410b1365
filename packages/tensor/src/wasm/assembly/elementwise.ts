/**
 * @file Kernels that treat each element alone. Loops run eight at a time, both halves loaded before either is stored (see
 * matmul/tile-6x16.ts). The last ones may lie beyond the end: reading there is harmless (every allocation has room behind it), and
 * only what is valid of the result is stored.
 */
import * as args from '../arguments/elementwise';
import { float, int, partBegin, pointer, scratch } from './core/call';
import { exp4, logPair, madd, sigmoid4, storeTail } from './core/simd';
import { wave4 } from './core/trigonometry';

/** In memory, so that spreading it over the lanes is one instruction: see EXP in simd.ts. */
const ONE = memory.data<f32>([1]);

/** The polynomial of tanh(x) / x - 1 in x^2, and up to which |x| it serves. */
const TANH = memory.data<f32>([
  -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1, 0.625,
]);

/** The polynomials of erf: P from the highest power down, then Q, then up to which |x| P serves. */
const ERF = memory.data<f32>([
  -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1,
  -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1,
  0.927734375,
]);

// @ts-ignore: decorator
@inline
function erfTerm(i: i32): v128 {
  return v128.load_splat<f32>(ERF + (<usize>i << 2));
}

/** Threads share elementwise work in pieces of this many elements. */
const GRAIN = 1024;

/**
 * An operation on four lanes. Its subclasses are passed as type parameters, so that each loop is compiled for its operation;
 * there are no objects. Unary operations ignore what they do not need.
 */
abstract class Op {
  abstract of(a: v128, b: v128, c: v128): v128;
}

class Add extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.add(a, b); }
}

class Sub extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.sub(a, b); }
}

class Mul extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.mul(a, b); }
}

class Div extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.div(a, b); }
}

class Maximum extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.max(a, b); }
}

class Minimum extends Op {
  of(a: v128, b: v128, c: v128): v128 { return f32x4.min(a, b); }
}

class Greater extends Op {
  of(a: v128, b: v128, c: v128): v128 { return v128.and(f32x4.gt(a, b), f32x4.splat(1)); }
}

class Equal extends Op {
  of(a: v128, b: v128, c: v128): v128 { return v128.and(f32x4.eq(a, b), f32x4.splat(1)); }
}

class Neg extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.neg(x); }
}

class Exp extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 { return exp4(x); }
}

/** ln x in 64 bits, rounded once: -Infinity at 0, NaN below it. */
class Log extends Op {
  of(x: v128, b: v128, c: v128): v128 {
    const low = logPair(f64x2.promote_low_f32x4(x)), high = logPair(f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 2, 3)));
    const y = v128.shuffle<i32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
    const above = f32x4.gt(x, f32x4.splat(0));
    const other = v128.bitselect(f32x4.splat(-Infinity), v128.bitselect(x, f32x4.splat(NaN), above), f32x4.eq(x, f32x4.splat(0)));
    return v128.bitselect(y, other, v128.and(above, f32x4.lt(x, f32x4.splat(Infinity))));
  }
}

class Sqrt extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.sqrt(x); }
}

class Reciprocal extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.div(f32x4.splat(1), x); }
}

class Sigmoid extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 { return sigmoid4(x); }
}

class Abs extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.abs(x); }
}

class Affine extends Op {
  of(x: v128, scale: v128, shift: v128): v128 { return madd(x, scale, shift); }
}

/** -1 or 1 with the sign of x; zeros and NaN stay. */
class Sign extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const one = v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(1));
    return v128.bitselect(one, x, f32x4.gt(f32x4.abs(x), f32x4.splat(0)));
  }
}

/** A polynomial near 0 (Cephes' tanhf), elsewhere 1 - 2 / (e^(2|x|) + 1) with the sign of x. */
class Tanh extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const z = f32x4.mul(x, x);
    let p = v128.load_splat<f32>(TANH);
    p = madd(p, z, v128.load_splat<f32>(TANH + 4));
    p = madd(p, z, v128.load_splat<f32>(TANH + 8));
    p = madd(p, z, v128.load_splat<f32>(TANH + 12));
    p = madd(p, z, v128.load_splat<f32>(TANH + 16));
    const near = madd(f32x4.mul(p, z), x, x);
    const size = f32x4.abs(x);
    const e = exp4(f32x4.add(size, size));
    const one = v128.load_splat<f32>(ONE);
    const far = f32x4.sub(one, f32x4.div(f32x4.add(one, one), f32x4.add(e, one)));
    const sign = v128.and(x, f32x4.splat(-0.0));
    // Near 0 the sign is there already, but for -0.
    return v128.or(v128.bitselect(near, far, f32x4.lt(size, v128.load_splat<f32>(TANH + 20))), sign);
  }
}

class ToI32 extends Op {
  of(x: v128, b: v128, c: v128): v128 { return i32x4.trunc_sat_f32x4_s(x); }
}

class ToF32 extends Op {
  of(x: v128, b: v128, c: v128): v128 { return f32x4.convert_i32x4_s(x); }
}

/** Up to 0.9277 x + x P(x^2), beyond 1 - e^(-|x| - |x| Q(|x|)) with the sign of x: minimax polynomials (Juffa 2016). */
class Erf extends Op {
  // @ts-ignore: decorator
  @inline
  of(x: v128, b: v128, c: v128): v128 {
    const z = f32x4.mul(x, x), size = f32x4.abs(x);
    let p = erfTerm(0);
    for (let i = 1; i < 6; i++) p = madd(p, z, erfTerm(i));
    const near = madd(p, x, x);
    let q = madd(madd(erfTerm(6), size, erfTerm(7)), z, madd(erfTerm(8), size, erfTerm(9)));
    for (let i = 10; i < 13; i++) q = madd(q, size, erfTerm(i));
    const one = v128.load_splat<f32>(ONE);
    const far = f32x4.sub(one, exp4(f32x4.sub(f32x4.mul(q, size), size)));
    const signed = v128.or(far, v128.and(x, f32x4.splat(-0.0)));
    return v128.bitselect(signed, near, f32x4.gt(size, erfTerm(13)));
  }
}

/** sin(x + shift pi/2), shift 0 or 1. */
class Wave extends Op {
  of(x: v128, scale: v128, shift: v128): v128 { return wave4(x, shift); }
}

/** The first n lanes at p, all four if there are more. */
function storeUpTo4(p: usize, x: v128, n: i32): void {
  if (n >= 4) v128.store(p, x);
  else storeTail(p, x, n);
}

/** y[i] = f(a, b) for n elements; aStep and bStep are 16, or 0 for an operand that repeats its first four lanes. */
function combineRow<F extends Op>(y: usize, a: usize, aStep: usize, b: usize, bStep: usize, n: i32): void {
  const f = changetype<F>(0);
  for (const end = y + (<usize>(n & ~7) << 2); y < end; y += 32) {
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
    default: return combineRow<Equal>(y, a, aStep, b, bStep, n);
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
    for (const last = y + (<usize>(n & ~3) << 2); y < last; y += 16) {
      v128.store(y, choose(v128.load(c), v128.load(a), v128.load(b)));
      a += aStep;
      b += bStep;
      c += cStep;
    }
    if (n & 3) storeTail(y, choose(v128.load(c), v128.load(a), v128.load(b)), n & 3);
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

/** a sigmoid(a) b */
// @ts-ignore: decorator
@inline
function swiGlu4(a: v128, b: v128): v128 {
  return f32x4.mul(f32x4.mul(a, sigmoid4(a)), b);
}

/** Kernel: y = silu(a) b. Arguments: y, a, b, n. */
export function swiGlu(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = <usize>partBegin(n, GRAIN, part, parts) << 2, count = (<usize>partBegin(n, GRAIN, part + 1, parts) << 2) - begin;
  let y = pointer(args.y) + begin, a = pointer(args.a) + begin, b = pointer(args.b) + begin;
  for (const end = y + (count & ~31); y < end; y += 32) {
    const y0 = swiGlu4(v128.load(a), v128.load(b)), y1 = swiGlu4(v128.load(a, 16), v128.load(b, 16));
    v128.store(y, y0);
    v128.store(y, y1, 16);
    a += 32;
    b += 32;
  }
  for (let rest = <i32>(count & 31) >> 2; rest > 0; rest -= 4) {
    storeUpTo4(y, swiGlu4(v128.load(a), v128.load(b)), rest);
    y += 16;
    a += 16;
    b += 16;
  }
}

/** g b s (1 + x (1 - s)) */
// @ts-ignore: decorator
@inline
function gateGradient(x: v128, b: v128, g: v128, s: v128): v128 {
  const one = v128.load_splat<f32>(ONE);
  return f32x4.mul(f32x4.mul(g, b), f32x4.mul(s, madd(x, f32x4.sub(one, s), one)));
}

/** Kernel: da = g b s (1 + a (1 - s)), db = g a s with s = sigmoid(a). Arguments: da, db, a, b, g, n. */
export function swiGluBackward(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = <usize>partBegin(n, GRAIN, part, parts) << 2, end = <usize>partBegin(n, GRAIN, part + 1, parts) << 2;
  const da = pointer(args.da), db = pointer(args.db), a = pointer(args.a), b = pointer(args.b), g = pointer(args.g);
  let at = begin;
  for (; at + 32 <= end; at += 32) {
    const x0 = v128.load(a + at), x1 = v128.load(a + at, 16);
    const g0 = v128.load(g + at), g1 = v128.load(g + at, 16);
    const s0 = sigmoid4(x0), s1 = sigmoid4(x1);
    const left0 = gateGradient(x0, v128.load(b + at), g0, s0), left1 = gateGradient(x1, v128.load(b + at, 16), g1, s1);
    const right0 = f32x4.mul(g0, f32x4.mul(x0, s0)), right1 = f32x4.mul(g1, f32x4.mul(x1, s1));
    v128.store(da + at, left0);
    v128.store(da + at, left1, 16);
    v128.store(db + at, right0);
    v128.store(db + at, right1, 16);
  }
  for (; at < end; at += 16) {
    const x = v128.load(a + at), gs = v128.load(g + at);
    const s = sigmoid4(x);
    const left = gateGradient(x, v128.load(b + at), gs, s), right = f32x4.mul(gs, f32x4.mul(x, s));
    storeUpTo4(da + at, left, <i32>(end - at) >> 2);
    storeUpTo4(db + at, right, <i32>(end - at) >> 2);
  }
}

/** The bijection `mix` of ../hash32.ts on four lanes. */
// @ts-ignore: decorator
@inline
function mix4(x: v128): v128 {
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 16)), i32x4.splat(0x21f0aaad));
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 15)), i32x4.splat(0xd35a2d97));
  return v128.xor(x, i32x4.shr_u(x, 15));
}

/** Kernel: y[i] = hash32(seed, i) < threshold ? 0 : scale x[i]. Arguments: y, x, n, seed, threshold (unsigned), scale. */
export function dropout(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = partBegin(n, GRAIN, part, parts), end = partBegin(n, GRAIN, part + 1, parts);
  const seed = i32x4.splat(int(args.seed)), threshold = i32x4.splat(int(args.threshold)), scale = f32x4.splat(float(args.scale));
  let index = i32x4.add(i32x4.splat(begin + 0x9e3779b9), i32x4(0, 1, 2, 3));
  let y = pointer(args.y) + (<usize>begin << 2), x = pointer(args.x) + (<usize>begin << 2);
  for (let i = begin; i < end; i += 4) {
    const hash = mix4(v128.xor(mix4(index), seed));
    const kept = v128.andnot(f32x4.mul(v128.load(x), scale), i32x4.lt_u(hash, threshold));
    if (i + 4 <= end) v128.store(y, kept);
    else storeTail(y, kept, end - i);
    index = i32x4.add(index, i32x4.splat(4));
    y += 16;
    x += 16;
  }
}
