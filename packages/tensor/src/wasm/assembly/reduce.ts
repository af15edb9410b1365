/** @file Sums, kept in 64 bits and rounded once; maxima. */
import * as args from '../arguments/reduce';
import { int, partBegin, pointer } from './core/call';
import { maxLanes, storeTail } from './core/simd';

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

function sumOf<T extends Term>(x: usize, n: i32): f64 {
  const term = changetype<T>(0);
  let s = f64x2.splat(0), t = f64x2.splat(0);
  const end = x + (<usize>(n & ~3) << 2);
  while (x < end) {
    const v = v128.load(x);
    s = f64x2.add(s, term.of(f64x2.promote_low_f32x4(v)));
    t = f64x2.add(t, term.of(f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 2, 3))));
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

/** Kernel: y [outer, C] = sum over the middle axis of x [outer, n, C]. Threads take columns. Arguments: y, x, outer, n, C. */
export function sumMiddle(part: i32, parts: i32): void {
  const outer = int(args.outer), n = int(args.n), C = int(args.inner);
  const row = <usize>C << 2;
  const begin = partBegin(C, 16, part, parts), end = partBegin(C, 16, part + 1, parts);
  for (let o = 0; o < outer; o++) {
    for (let c = begin; c < end; c += 4) {
      let low = f64x2.splat(0), high = f64x2.splat(0);
      let from = pointer(args.x) + <usize>o * n * row + (<usize>c << 2);
      for (let i = 0; i < n; i++) {
        const v = v128.load(from);
        low = f64x2.add(low, f64x2.promote_low_f32x4(v));
        high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<i32>(v, v, 2, 3, 2, 3)));
        from += row;
      }
      const y = v128.shuffle<f64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
      const to = pointer(args.y) + o * row + (<usize>c << 2);
      if (c + 4 <= C) v128.store(to, y);
      else storeTail(to, y, C - c);
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

/** Kernel: y [outer, C] = the largest along the middle axis of x [outer, n, C]. Threads take columns. Arguments: y, x, outer, n, C. */
export function maxMiddle(part: i32, parts: i32): void {
  const outer = int(args.outer), n = int(args.n), C = int(args.inner);
  const row = <usize>C << 2;
  const begin = partBegin(C, 16, part, parts), end = partBegin(C, 16, part + 1, parts);
  for (let o = 0; o < outer; o++) {
    for (let c = begin; c < end; c += 4) {
      let most = f32x4.splat(-Infinity);
      let from = pointer(args.x) + <usize>o * n * row + (<usize>c << 2);
      for (let i = 0; i < n; i++) {
        most = f32x4.max(most, v128.load(from));
        from += row;
      }
      const to = pointer(args.y) + o * row + (<usize>c << 2);
      if (c + 4 <= C) v128.store(to, most);
      else storeTail(to, most, C - c);
    }
  }
}
