/** @file Kernels that work along the last axis of x [rows, n]. Threads take rows. */
import * as args from '../arguments/axis';
import { int, partBegin, pointer, scratch } from './core/call';

/** Kernel: running sums, kept in 64 bits. Arguments: y, x, rows, n, reverse. */
export function cumsum(part: i32, parts: i32): void {
  const rows = int(args.rows), n = int(args.n);
  const step: isize = int(args.reverse) ? -4 : 4;
  const end = partBegin(rows, 1, part + 1, parts);
  for (let r = partBegin(rows, 1, part, parts); r < end; r++) {
    const first = (<usize>r * n + (step < 0 ? n - 1 : 0)) << 2;
    let x = pointer(args.x) + first, y = pointer(args.y) + first;
    let total: f64 = 0;
    for (let i = 0; i < n; i++) {
      total += <f64>load<f32>(x);
      store<f32>(y, <f32>total);
      x += step;
      y += step;
    }
  }
}

/** Whole numbers in the order of the floats: NaN last, both zeros the same. */
// @ts-ignore: decorator
@inline
function orderKey(v: f32): u32 {
  if (v != v) return 0xffffffff;
  const bits = reinterpret<u32>(v == 0 ? 0 : v);
  return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

/** Puts n <= 32 numbers in order. */
function insertionSort(at: usize, n: i32): void {
  for (let i = 1; i < n; i++) {
    const value = load<u64>(at + (<usize>i << 3));
    let j = at + (<usize>i << 3);
    for (; j > at && load<u64>(j - 8) > value; j -= 8) store<u64>(j, load<u64>(j - 8));
    store<u64>(j, value);
  }
}

/** One pass of a radix sort: n numbers from `from` to `to` by 8 of their bits. False, and nothing done, if these are all the same. */
function distribute(from: usize, to: usize, n: i32, shift: u64): bool {
  const starts = scratch();
  memory.fill(starts, 0, 1024);
  const end = from + (<usize>n << 3);
  for (let at = from; at < end; at += 8) {
    const bucket = starts + (<usize>((load<u64>(at) >> shift) & 255) << 2);
    store<i32>(bucket, load<i32>(bucket) + 1);
  }
  if (load<i32>(starts + (<usize>((load<u64>(from) >> shift) & 255) << 2)) == n) return false;
  let begin = 0;
  for (let bucket = starts; bucket < starts + 1024; bucket += 4) {
    const count = load<i32>(bucket);
    store<i32>(bucket, begin);
    begin += count;
  }
  for (let at = from; at < end; at += 8) {
    const value = load<u64>(at);
    const bucket = starts + (<usize>((value >> shift) & 255) << 2);
    const place = load<i32>(bucket);
    store<u64>(to + (<usize>place << 3), value);
    store<i32>(bucket, place + 1);
  }
  return true;
}

/**
 * Kernel, on one thread: positions in rising order. Each element becomes a number of 64 bits, its order above its position, so that equal
 * elements stay in order. Arguments: y, x, rows, n, reverse, count, work.
 */
export function argsort(part: i32, parts: i32): void {
  const rows = int(args.rows), n = int(args.n), count = int(args.count);
  const flip: u32 = int(args.reverse) ? 0xffffffff : 0;
  let from = pointer(args.work), to = from + (<usize>n << 3);
  for (let r = 0; r < rows; r++) {
    const x = pointer(args.x) + ((<usize>r * n) << 2), y = pointer(args.y) + ((<usize>r * count) << 2);
    for (let i = 0; i < n; i++) {
      store<u64>(from + (<usize>i << 3), (<u64>(orderKey(load<f32>(x + (<usize>i << 2))) ^ flip) << 32) | <u64>i);
    }
    if (n <= 32) insertionSort(from, n);
    else {
      for (let shift: u64 = 32; shift < 64; shift += 8) {
        if (!distribute(from, to, n, shift)) continue;
        const other = from;
        from = to;
        to = other;
      }
    }
    for (let i = 0; i < count; i++) store<i32>(y + (<usize>i << 2), <i32>load<u64>(from + (<usize>i << 3)));
  }
}

/** Kernel: y[r,j] = x[r, ids[r,j]]. Arguments: y, x, ids, rows, n, m. */
export function gatherAxis(part: i32, parts: i32): void {
  const rows = int(args.rows), n = int(args.n), m = int(args.m);
  const end = partBegin(rows, 1, part + 1, parts);
  for (let r = partBegin(rows, 1, part, parts); r < end; r++) {
    const x = pointer(args.x) + ((<usize>r * n) << 2);
    let at = (<usize>r * m) << 2;
    for (let j = 0; j < m; j++) {
      store<i32>(pointer(args.y) + at, load<i32>(x + (<usize>load<i32>(pointer(args.ids) + at) << 2)));
      at += 4;
    }
  }
}

/** Kernel: y[r,k] = sum of x[r,j] over ids[r,j] = k. Arguments: y, x, ids, rows, n, m. */
export function scatterAddAxis(part: i32, parts: i32): void {
  const rows = int(args.rows), n = int(args.n), m = int(args.m);
  const end = partBegin(rows, 1, part + 1, parts);
  for (let r = partBegin(rows, 1, part, parts); r < end; r++) {
    const y = pointer(args.y) + ((<usize>r * n) << 2);
    memory.fill(y, 0, <usize>n << 2);
    let at = (<usize>r * m) << 2;
    for (let j = 0; j < m; j++) {
      const to = y + (<usize>load<i32>(pointer(args.ids) + at) << 2);
      store<f32>(to, load<f32>(to) + load<f32>(pointer(args.x) + at));
      at += 4;
    }
  }
}
