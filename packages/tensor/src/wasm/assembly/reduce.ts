/** @file Sums, kept in 64 bits and rounded once; variances; maxima. */
import * as args from '../arguments/reduce';
import { float, int, partBegin, pointer } from './core/call';
import { madd, maxLanes, storeTail, sumLanes } from './core/simd';

/** Elements per partial sum, whatever the number of threads. */
const CHUNK = 16384;

/** One term of the sum: a type parameter, so that each loop is compiled for its own. */
abstract class Term {
  abstract of(x: v128): v128;
}

class Value extends Term {
  of(x: v128): v128 { return x; }
}

class Square extends Term {
  of(x: v128): v128 { return f64x2.mul(x, x); }
}

/** Two floats in 64 bits. */
// @ts-ignore: decorator
@inline
function promoted(x: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(x));
}

function sumOf<T extends Term>(x: usize, n: i32): f64 {
  const term = changetype<T>(0);
  let s = f64x2.splat(0), t = f64x2.splat(0);
  const end = x + (<usize>(n & ~3) << 2);
  while (x < end) {
    s = f64x2.add(s, term.of(promoted(x)));
    t = f64x2.add(t, term.of(promoted(x + 8)));
    x += 16;
  }
  s = f64x2.add(s, t);
  let total = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
  for (let i = 0; i < (n & 3); i++) {
    total += f64x2.extract_lane(term.of(f64x2.splat(<f64>load<f32>(x + (<usize>i << 2)))), 0);
  }
  return total;
}

/** Kernel: sums over the last axis. Arguments: y, x, rows, n. */
export function sumLast(part: i32, parts: i32): void {
  const rows = int(args.outer), n = int(args.n);
  const end = partBegin(rows, 16, part + 1, parts);
  for (let i = partBegin(rows, 16, part, parts); i < end; i++) {
    store<f32>(pointer(args.y) + (<usize>i << 2), <f32>sumOf<Value>(pointer(args.x) + (<usize>(i * n) << 2), n));
  }
}

/** Two pairs of sums in 64 bits as four floats. */
// @ts-ignore: decorator
@inline
function rounded(low: v128, high: v128): v128 {
  return v128.shuffle<f64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** The sums of 16 columns of n rows, `row` bytes apart: a cache line of each row. */
function sumColumns16(y: usize, x: usize, row: usize, n: i32): void {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  for (let i = 0; i < n; i++) {
    s0 = f64x2.add(s0, promoted(x));
    s1 = f64x2.add(s1, promoted(x + 8));
    s2 = f64x2.add(s2, promoted(x + 16));
    s3 = f64x2.add(s3, promoted(x + 24));
    s4 = f64x2.add(s4, promoted(x + 32));
    s5 = f64x2.add(s5, promoted(x + 40));
    s6 = f64x2.add(s6, promoted(x + 48));
    s7 = f64x2.add(s7, promoted(x + 56));
    x += row;
  }
  v128.store(y, rounded(s0, s1));
  v128.store(y, rounded(s2, s3), 16);
  v128.store(y, rounded(s4, s5), 32);
  v128.store(y, rounded(s6, s7), 48);
}

/** Kernel: y [outer, C] = sum over the middle axis of x [outer, n, C]. Threads take columns. Arguments: y, x, outer, n, C. */
export function sumMiddle(part: i32, parts: i32): void {
  const outer = int(args.outer), n = int(args.n), C = int(args.inner);
  const row = <usize>C << 2;
  const begin = partBegin(C, 16, part, parts), end = partBegin(C, 16, part + 1, parts);
  for (let o = 0; o < outer; o++) {
    const y = pointer(args.y) + o * row, x = pointer(args.x) + <usize>o * n * row;
    let c = begin;
    for (; c + 16 <= end; c += 16) sumColumns16(y + (<usize>c << 2), x + (<usize>c << 2), row, n);
    for (; c < end; c += 4) {
      let low = f64x2.splat(0), high = f64x2.splat(0);
      let from = x + (<usize>c << 2);
      for (let i = 0; i < n; i++) {
        low = f64x2.add(low, promoted(from));
        high = f64x2.add(high, promoted(from + 8));
        from += row;
      }
      const to = y + (<usize>c << 2);
      if (c + 4 <= C) v128.store(to, rounded(low, high));
      else storeTail(to, rounded(low, high), C - c);
    }
  }
}

/** Kernel: a 64-bit partial sum for each run of CHUNK elements. Arguments: partials, x, n, squares. */
export function sumChunks(part: i32, parts: i32): void {
  const n = int(args.n);
  const chunks = (n + CHUNK - 1) / CHUNK;
  const end = partBegin(chunks, 1, part + 1, parts);
  for (let i = partBegin(chunks, 1, part, parts); i < end; i++) {
    const x = pointer(args.x) + (<usize>(i * CHUNK) << 2);
    const count = min(CHUNK, n - i * CHUNK);
    store<f64>(pointer(args.partials) + (<usize>i << 3), int(args.squares) ? sumOf<Square>(x, count) : sumOf<Value>(x, count));
  }
}

/** Kernel, on one thread: the sum of the partial sums. Arguments: y, partials, count. */
export function sumPartials(part: i32, parts: i32): void {
  let total: f64 = 0;
  for (let i = 0; i < int(args.count); i++) total += load<f64>(pointer(args.partials) + (<usize>i << 3));
  store<f32>(pointer(args.y), <f32>total);
}

/** So many elements are added in 32 bits before their sum is added in 64. */
const RUN = 1024;

/** A term of the sums over a row: a difference d, added to the sum so far. */
abstract class Deviation {
  abstract add(d: v128, sum: v128): v128;
  abstract of(d: f32): f32;
}

class Itself extends Deviation {
  add(d: v128, sum: v128): v128 { return f32x4.add(d, sum); }
  of(d: f32): f32 { return d; }
}

class Squared extends Deviation {
  add(d: v128, sum: v128): v128 { return madd(d, d, sum); }
  of(d: f32): f32 { return d * d; }
}

/** The sum over n elements of x - mean, or of its square. */
function deviationsOf<T extends Deviation>(x: usize, n: i32, mean: f32): f64 {
  const term = changetype<T>(0), means = f32x4.splat(mean);
  let total: f64 = 0;
  for (; n > 0; n -= RUN) {
    let s = f32x4.splat(0), t = s;
    const count = min(n, RUN);
    for (const whole = x + (<usize>(count & ~7) << 2); x < whole; x += 32) {
      s = term.add(f32x4.sub(v128.load(x), means), s);
      t = term.add(f32x4.sub(v128.load(x, 16), means), t);
    }
    total += sumLanes(f32x4.add(s, t));
    for (let rest = count & 7; rest > 0; rest--) {
      total += term.of(load<f32>(x) - mean);
      x += 4;
    }
  }
  return total;
}

/**
 * Kernel: sums of (x - mean)^2 over the last axis, divided by `divisor`. The means of eight rows come first, and stand in y meanwhile: a
 * row would have to wait for its own. Arguments: y, x, outer, n, divisor.
 */
export function variance(part: i32, parts: i32): void {
  const n = int(args.n), row = <usize>n << 2;
  const end = partBegin(int(args.outer), 16, part + 1, parts);
  for (let first = partBegin(int(args.outer), 16, part, parts); first < end; first += 8) {
    const y = pointer(args.y) + (<usize>first << 2), x = pointer(args.x) + first * row;
    const last = y + (<usize>min(8, end - first) << 2);
    let from = x;
    for (let to = y; to < last; to += 4) {
      store<f32>(to, <f32>(deviationsOf<Itself>(from, n, 0) / n));
      from += row;
    }
    from = x;
    for (let to = y; to < last; to += 4) {
      store<f32>(to, <f32>(deviationsOf<Squared>(from, n, load<f32>(to)) / float(args.divisor)));
      from += row;
    }
  }
}

/** Kernel: the largest along the last axis. Arguments: y, x, outer, n. */
export function maxLast(part: i32, parts: i32): void {
  const rows = int(args.outer), n = int(args.n);
  const end = partBegin(rows, 16, part + 1, parts);
  for (let i = partBegin(rows, 16, part, parts); i < end; i++) {
    let x = pointer(args.x) + (<usize>(i * n) << 2);
    let s = f32x4.splat(-Infinity), t = s;
    for (const last = x + (<usize>(n & ~7) << 2); x < last; x += 32) {
      s = f32x4.max(s, v128.load(x));
      t = f32x4.max(t, v128.load(x, 16));
    }
    let most = maxLanes(f32x4.max(s, t));
    for (let k = 0; k < (n & 7); k++) most = max(most, load<f32>(x + (<usize>k << 2)));
    store<f32>(pointer(args.y) + (<usize>i << 2), most);
  }
}

/** The largest of 8 columns of n rows, `row` bytes apart. */
function maxColumns8(y: usize, x: usize, row: usize, n: i32): void {
  let m0 = f32x4.splat(-Infinity), m1 = m0;
  for (let i = 0; i < n; i++) {
    m0 = f32x4.max(m0, v128.load(x));
    m1 = f32x4.max(m1, v128.load(x, 16));
    x += row;
  }
  v128.store(y, m0);
  v128.store(y, m1, 16);
}

/** Kernel: y [outer, C] = the largest along the middle axis of x [outer, n, C]. Threads take columns. Arguments: y, x, outer, n, C. */
export function maxMiddle(part: i32, parts: i32): void {
  const outer = int(args.outer), n = int(args.n), C = int(args.inner);
  const row = <usize>C << 2;
  const begin = partBegin(C, 16, part, parts), end = partBegin(C, 16, part + 1, parts);
  for (let o = 0; o < outer; o++) {
    const y = pointer(args.y) + o * row, x = pointer(args.x) + <usize>o * n * row;
    let c = begin;
    for (; c + 8 <= end; c += 8) maxColumns8(y + (<usize>c << 2), x + (<usize>c << 2), row, n);
    for (; c < end; c += 4) {
      let most = f32x4.splat(-Infinity);
      let from = x + (<usize>c << 2);
      for (let i = 0; i < n; i++) {
        most = f32x4.max(most, v128.load(from));
        from += row;
      }
      const to = y + (<usize>c << 2);
      if (c + 4 <= C) v128.store(to, most);
      else storeTail(to, most, C - c);
    }
  }
}
