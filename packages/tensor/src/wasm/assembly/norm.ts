/** @file RMS normalisation, forward and backward. */
import * as args from '../arguments/norm';
import { float, int, partBegin, pointer } from './core/call';
import { lanesBelow, madd, storeTail, sumLanes } from './core/simd';

/** v128.load with the lanes beyond the row set to 0. */
// @ts-ignore: decorator
@inline
function loadRow(p: usize, c: i32, C: i32): v128 {
  const x = v128.load(p);
  return c + 4 <= C ? x : v128.and(x, lanesBelow(C - c));
}

/** 1 / sqrt(mean of squares + eps) */
function inverseRms(x: usize, C: i32, eps: f32): f32 {
  let s = f32x4.splat(0), t = f32x4.splat(0);
  let c = 0;
  for (; c + 8 <= C; c += 8) {
    const u = v128.load(x), v = v128.load(x, 16);
    s = madd(u, u, s);
    t = madd(v, v, t);
    x += 32;
  }
  for (; c < C; c += 4) {
    const u = loadRow(x, c, C);
    s = madd(u, u, s);
    x += 16;
  }
  // V8's scalar square root is an old SSE instruction, which stalls for 100 ns after 256-bit ones; the vector one does not.
  return 1 / f32x4.extract_lane(f32x4.sqrt(f32x4.splat(sumLanes(f32x4.add(s, t)) / <f32>C + eps)), 0);
}

/** Kernel: y = x * w / rms(x). Arguments: y, x, w, rows, C, eps. */
export function rmsNorm(part: i32, parts: i32): void {
  const rows = int(args.rows), C = int(args.C);
  const row = <usize>C << 2;
  const end = partBegin(rows, 1, part + 1, parts);
  for (let i = partBegin(rows, 1, part, parts); i < end; i++) {
    const x = pointer(args.x) + i * row, y = pointer(args.y) + i * row, w = pointer(args.w);
    const r = f32x4.splat(inverseRms(x, C, float(args.eps)));
    let at: usize = 0;
    for (const whole = <usize>(C & ~7) << 2; at < whole; at += 32) {
      const y0 = f32x4.mul(f32x4.mul(v128.load(x + at), r), v128.load(w + at));
      const y1 = f32x4.mul(f32x4.mul(v128.load(x + at, 16), r), v128.load(w + at, 16));
      v128.store(y + at, y0);
      v128.store(y + at, y1, 16);
    }
    if (C & 4) {
      v128.store(y + at, f32x4.mul(f32x4.mul(v128.load(x + at), r), v128.load(w + at)));
      at += 16;
    }
    if (C & 3) storeTail(y + at, f32x4.mul(f32x4.mul(v128.load(x + at), r), v128.load(w + at)), C & 3);
  }
}

/**
 * Kernel: dx = r (g w - x r^2 mean(g w x)), and for each of `chunks` runs of rows a partial dw = sum of g x r. The runs do not
 * depend on the number of threads. Arguments: dx, partial dw [chunks, C rounded up to 4], x, w, g, rows, C, eps, chunks.
 */
export function rmsNormBackward(part: i32, parts: i32): void {
  const rows = int(args.rows), C = int(args.C), chunks = int(args.chunks);
  const row = <usize>C << 2;
  const partialRow = <usize>((C + 3) & ~3) << 2;
  const end = partBegin(chunks, 1, part + 1, parts);
  for (let chunk = partBegin(chunks, 1, part, parts); chunk < end; chunk++) {
    const dw = pointer(args.partials) + chunk * partialRow;
    memory.fill(dw, 0, partialRow);
    const last = partBegin(rows, 1, chunk + 1, chunks);
    for (let i = partBegin(rows, 1, chunk, chunks); i < last; i++) {
      backwardRow(pointer(args.dx) + i * row, dw, pointer(args.x) + i * row, pointer(args.w), pointer(args.g) + i * row, C, float(args.eps));
    }
  }
}

function backwardRow(dx: usize, dw: usize, x: usize, w: usize, g: usize, C: i32, eps: f32): void {
  const r = inverseRms(x, C, eps);
  const whole = <usize>(C & ~7) << 2, end = <usize>C << 2;
  let s = f32x4.splat(0), t = f32x4.splat(0);
  let at: usize = 0;
  for (; at < whole; at += 32) {
    s = madd(f32x4.mul(v128.load(g + at), v128.load(w + at)), v128.load(x + at), s);
    t = madd(f32x4.mul(v128.load(g + at, 16), v128.load(w + at, 16)), v128.load(x + at, 16), t);
  }
  for (let c = C & ~7; c < C; c += 4) {
    s = madd(f32x4.mul(loadRow(g + at, c, C), loadRow(w + at, c, C)), loadRow(x + at, c, C), s);
    at += 16;
  }
  const r4 = f32x4.splat(r);
  const k = f32x4.splat((sumLanes(f32x4.add(s, t)) / <f32>C) * r * r);
  for (at = 0; at < whole; at += 32) {
    const x0 = v128.load(x + at), x1 = v128.load(x + at, 16), g0 = v128.load(g + at), g1 = v128.load(g + at, 16);
    const d0 = f32x4.mul(r4, f32x4.sub(f32x4.mul(g0, v128.load(w + at)), f32x4.mul(x0, k)));
    const d1 = f32x4.mul(r4, f32x4.sub(f32x4.mul(g1, v128.load(w + at, 16)), f32x4.mul(x1, k)));
    const w0 = madd(f32x4.mul(g0, x0), r4, v128.load(dw + at)), w1 = madd(f32x4.mul(g1, x1), r4, v128.load(dw + at, 16));
    v128.store(dw + at, w0);
    v128.store(dw + at, w1, 16);
    v128.store(dx + at, d0);
    v128.store(dx + at, d1, 16);
  }
  for (; at < end; at += 16) {
    const xs = v128.load(x + at), gs = v128.load(g + at);
    const d = f32x4.mul(r4, f32x4.sub(f32x4.mul(gs, v128.load(w + at)), f32x4.mul(xs, k)));
    v128.store(dw + at, madd(f32x4.mul(gs, xs), r4, v128.load(dw + at)));
    if (at + 16 <= end) v128.store(dx + at, d);
    else storeTail(dx + at, d, <i32>(end - at) >> 2);
  }
}

/** Kernel: y[c] = sum over the rows of partial sums [count, width]. Arguments: y, partials, count, C, width (C rounded up to 4). */
export function sumPartialRows(part: i32, parts: i32): void {
  const count = int(args.chunks), C = int(args.C);
  const row = <usize>int(args.width) << 2;
  const end = partBegin(C, 16, part + 1, parts);
  for (let c = partBegin(C, 16, part, parts); c < end; c++) {
    let total: f64 = 0;
    for (let i = 0; i < count; i++) total += load<f32>(pointer(args.partials) + i * row + (<usize>c << 2));
    store<f32>(pointer(args.dw) + (<usize>c << 2), <f32>total);
  }
}
