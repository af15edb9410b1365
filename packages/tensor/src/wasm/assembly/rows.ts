/** @file Kernels that read, write or add whole rows: embeddings and their gradients, segments. */
import * as args from '../arguments/rows';
import { int, partBegin, pointer } from './core/call';
import { storeTail } from './core/simd';
import { copyRow } from './shape';

/** to = sum of the rows of x named by ids (negative ones add nothing), in order; 16 columns at a time stay in registers. */
function sumRows(to: usize, x: usize, C: i32, ids: usize, count: i32): void {
  const row = <usize>C << 2;
  const last = ids + (<usize>count << 2);
  let c = 0;
  for (; c + 16 <= C; c += 16) {
    let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
    for (let p = ids; p < last; p += 4) {
      const id = load<i32>(p);
      if (id < 0) continue;
      const from = x + id * row;
      s0 = f32x4.add(s0, v128.load(from));
      s1 = f32x4.add(s1, v128.load(from, 16));
      s2 = f32x4.add(s2, v128.load(from, 32));
      s3 = f32x4.add(s3, v128.load(from, 48));
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
    to += 64;
    x += 64;
  }
  for (; c < C; c += 4) {
    let s = f32x4.splat(0);
    for (let p = ids; p < last; p += 4) {
      const id = load<i32>(p);
      if (id >= 0) s = f32x4.add(s, v128.load(x + id * row));
    }
    if (c + 4 <= C) v128.store(to, s);
    else storeTail(to, s, C - c);
    to += 16;
    x += 16;
  }
}

/** Kernel: y[i] = table[ids[i]]. Arguments: y, table, ids, n, C. */
export function gatherRows(part: i32, parts: i32): void {
  const n = int(args.n), C = int(args.C);
  const row = <usize>C << 2;
  const end = partBegin(n, 1, part + 1, parts);
  for (let i = partBegin(n, 1, part, parts); i < end; i++) {
    copyRow(pointer(args.y) + i * row, pointer(args.table) + load<i32>(pointer(args.ids) + (<usize>i << 2)) * row, C);
  }
}

/** Kernel: table[ids[i]] = x[i], in rising i, on one thread. Arguments: table, ids, x, n, C. */
export function writeRows(part: i32, parts: i32): void {
  const n = int(args.n), C = int(args.C);
  const row = <usize>C << 2;
  for (let i = 0; i < n; i++) copyRow(pointer(args.table) + load<i32>(pointer(args.ids) + (<usize>i << 2)) * row, pointer(args.x) + i * row, C);
}

/** Kernel: y[i] = sum over g of table[ids[i,g]]. Arguments: y, table, ids, n, C, G. */
export function embeddingBag(part: i32, parts: i32): void {
  const n = int(args.n), C = int(args.C), G = int(args.G);
  const end = partBegin(n, 1, part + 1, parts);
  for (let i = partBegin(n, 1, part, parts); i < end; i++) {
    sumRows(pointer(args.y) + (<usize>(i * C) << 2), pointer(args.table), C, pointer(args.ids) + (<usize>(i * G) << 2), G);
  }
}

/** Kernel: y[u] = sum of x[entries[e]] over starts[u] <= e < starts[u+1]. Arguments: y, x, entries, starts, U, C. */
export function segmentGatherSum(part: i32, parts: i32): void {
  const U = int(args.U), C = int(args.C);
  const end = partBegin(U, 1, part + 1, parts);
  for (let u = partBegin(U, 1, part, parts); u < end; u++) {
    const begin = load<i32>(pointer(args.starts) + (<usize>u << 2));
    const count = load<i32>(pointer(args.starts) + (<usize>u << 2), 4) - begin;
    sumRows(pointer(args.y) + (<usize>(u * C) << 2), pointer(args.x), C, pointer(args.entries) + (<usize>begin << 2), count);
  }
}

/** Kernel: y[r] = sum of x[i] over ids[i] = r, in rising i. Threads take columns. Arguments: y, x, ids, n, rows, C. */
export function scatterAddRows(part: i32, parts: i32): void {
  const n = int(args.n), rows = int(args.rows), C = int(args.C);
  const begin = partBegin(C, 16, part, parts);
  const columns = partBegin(C, 16, part + 1, parts) - begin;
  if (columns == 0) return;
  const row = <usize>C << 2;
  const y = pointer(args.y) + (<usize>begin << 2), x = pointer(args.x) + (<usize>begin << 2);
  for (let r = 0; r < rows; r++) memory.fill(y + r * row, 0, <usize>columns << 2);
  for (let i = 0; i < n; i++) {
    let from = x + i * row;
    let to = y + load<i32>(pointer(args.ids) + (<usize>i << 2)) * row;
    for (let c = 0; c < columns; c += 4) {
      const s = f32x4.add(v128.load(to), v128.load(from));
      if (c + 4 <= columns) v128.store(to, s);
      else storeTail(to, s, columns - c);
      to += 16;
      from += 16;
    }
  }
}

/** Kernel: y[p,c] = max of x[i,c] over starts[p] <= i < starts[p+1], 0 if there is none. Arguments: y, x, starts, P, C. */
export function segmentMax(part: i32, parts: i32): void {
  const P = int(args.P), C = int(args.C);
  const row = <usize>C << 2;
  const end = partBegin(P, 1, part + 1, parts);
  for (let p = partBegin(P, 1, part, parts); p < end; p++) {
    const first = load<i32>(pointer(args.starts) + (<usize>p << 2)), last = load<i32>(pointer(args.starts) + (<usize>p << 2), 4);
    let y = pointer(args.y) + p * row;
    let x = pointer(args.x) + first * row;
    for (let c = 0; c < C; c += 4) {
      let best = f32x4.splat(first < last ? -Infinity : 0);
      let from = x;
      for (let i = first; i < last; i++) {
        best = f32x4.max(best, v128.load(from));
        from += row;
      }
      if (c + 4 <= C) v128.store(y, best);
      else storeTail(y, best, C - c);
      x += 16;
      y += 16;
    }
  }
}

/** Kernel: g shared by the elements equal to the maximum, 0 elsewhere. Arguments: dx, x, y, g, starts, n, P, C. */
export function segmentMaxBackward(part: i32, parts: i32): void {
  const n = int(args.n), P = int(args.P), C = int(args.C);
  const row = <usize>C << 2;
  const starts = pointer(args.starts);
  // Rows before the first segment and after the last belong to nobody.
  if (part == 0) memory.fill(pointer(args.dx), 0, load<i32>(starts) * row);
  if (part == parts - 1) {
    const rest = load<i32>(starts + (<usize>P << 2));
    memory.fill(pointer(args.dx) + rest * row, 0, (n - rest) * row);
  }
  const end = partBegin(P, 1, part + 1, parts);
  for (let p = partBegin(P, 1, part, parts); p < end; p++) {
    const first = load<i32>(starts + (<usize>p << 2)), last = load<i32>(starts + (<usize>p << 2), 4);
    for (let c = 0; c < C; c += 4) {
      const best = v128.load(pointer(args.y) + p * row + (<usize>c << 2));
      const g = v128.load(pointer(args.g) + p * row + (<usize>c << 2));
      const x = pointer(args.x) + first * row + (<usize>c << 2);
      let ties = f32x4.splat(0);
      for (let i = first, from = x; i < last; i++, from += row) {
        ties = f32x4.add(ties, v128.and(f32x4.eq(v128.load(from), best), f32x4.splat(1)));
      }
      const share = f32x4.div(g, ties);
      // NaN, like its maximum, for every row of a segment with one in it.
      const broken = f32x4.ne(best, best);
      let to = pointer(args.dx) + first * row + (<usize>c << 2);
      for (let i = first, from = x; i < last; i++, from += row, to += row) {
        const d = v128.or(v128.and(f32x4.eq(v128.load(from), best), share), broken);
        if (c + 4 <= C) v128.store(to, d);
        else storeTail(to, d, C - c);
      }
    }
  }
}
