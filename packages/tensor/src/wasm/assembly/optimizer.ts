/** @file AdamW in one pass over the parameters, and moving averages, in place. */
import * as args from '../arguments/optimizer';
import { float, int, partBegin, pointer } from './core/call';
import { madd, storeTail } from './core/simd';

/** The parts of the threads are whole multiples of this many elements. */
const GRAIN = 1024;

/**
 * AdamW on n neighbouring elements. Arguments: beta1, 1 - beta1, beta2, 1 - beta2, lr / (1 - beta1^step),
 * 1 / (1 - beta2^step), eps, 1 - lr weightDecay.
 */
// @ts-ignore: decorator
@inline
function update(p: usize, m: usize, v: usize, g: usize, n: i32, gradScale: f32): void {
  const beta1 = f32x4.splat(float(args.beta1)), rest1 = f32x4.splat(float(args.rest1) * gradScale);
  const beta2 = f32x4.splat(float(args.beta2)), rest2 = f32x4.splat(float(args.rest2));
  const rate = f32x4.splat(float(args.rate)), correction = f32x4.splat(float(args.correction));
  const eps = f32x4.splat(float(args.eps)), decay = f32x4.splat(float(args.decay));
  const scale = f32x4.splat(gradScale);
  for (let i = 0; i < n; i += 4) {
    const raw = v128.load(g);
    const grad = f32x4.mul(raw, scale);
    const newM = madd(v128.load(m), beta1, f32x4.mul(raw, rest1));
    const newV = madd(v128.load(v), beta2, f32x4.mul(f32x4.mul(grad, grad), rest2));
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(newV, correction)), eps);
    const step = f32x4.div(f32x4.mul(newM, rate), root);
    const newP = f32x4.sub(f32x4.mul(v128.load(p), decay), step);
    if (i + 4 <= n) {
      v128.store(m, newM);
      v128.store(v, newV);
      v128.store(p, newP);
    } else {
      storeTail(m, newM, n - i);
      storeTail(v, newV, n - i);
      storeTail(p, newP, n - i);
    }
    p += 16;
    m += 16;
    v += 16;
    g += 16;
  }
}

/** Kernel. Arguments: p, m, v, g, gradScale, n, then those of `update`. */
export function adamw(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = partBegin(n, GRAIN, part, parts);
  const at = <usize>begin << 2;
  update(pointer(args.p) + at, pointer(args.m) + at, pointer(args.v) + at, pointer(args.g) + at, partBegin(n, GRAIN, part + 1, parts) - begin,
    load<f32>(pointer(args.gradScale)));
}

/** Kernel: the rows ids[0:U] of p, m, v alone. Arguments: p, m, v, ids, g, gradScale, U, C, then those of `update`. */
export function adamwRows(part: i32, parts: i32): void {
  const U = int(args.rows), C = int(args.C);
  const row = <usize>C << 2;
  const end = partBegin(U, 1, part + 1, parts);
  for (let u = partBegin(U, 1, part, parts); u < end; u++) {
    const at = load<i32>(pointer(args.ids) + (<usize>u << 2)) * row;
    update(pointer(args.p) + at, pointer(args.m) + at, pointer(args.v) + at, pointer(args.g) + u * row, C, load<f32>(pointer(args.gradScale)));
  }
}

/** Kernel: skipped updates of the rows ids[0:U], p = p f0 - f3 m / (sqrt(v) + f4), m *= f1, v *= f2. Arguments: p, m, v, ids, factors, U, C. */
export function adamwCatchUp(part: i32, parts: i32): void {
  const U = int(args.rows), C = int(args.C);
  const row = <usize>C << 2;
  const zero = f32x4.splat(0);
  const end = partBegin(U, 1, part + 1, parts);
  for (let u = partBegin(U, 1, part, parts); u < end; u++) {
    const at = load<i32>(pointer(args.ids) + (<usize>u << 2)) * row;
    const factors = pointer(args.factors) + <usize>u * 20;
    const keepP = f32x4.splat(load<f32>(factors)), keepM = f32x4.splat(load<f32>(factors, 4));
    const keepV = f32x4.splat(load<f32>(factors, 8)), drift = f32x4.splat(load<f32>(factors, 12));
    const eps = f32x4.splat(load<f32>(factors, 16));
    let p = pointer(args.p) + at, m = pointer(args.m) + at, v = pointer(args.v) + at;
    for (let i = 0; i < C; i += 4) {
      const oldM = v128.load(m), oldV = v128.load(v);
      const root = f32x4.add(f32x4.sqrt(oldV), eps);
      const moved = v128.and(f32x4.div(f32x4.mul(drift, oldM), root), f32x4.gt(root, zero));
      const newP = f32x4.sub(f32x4.mul(v128.load(p), keepP), moved);
      const newM = f32x4.mul(oldM, keepM), newV = f32x4.mul(oldV, keepV);
      if (i + 4 <= C) {
        v128.store(p, newP);
        v128.store(m, newM);
        v128.store(v, newV);
      } else {
        storeTail(p, newP, C - i);
        storeTail(m, newM, C - i);
        storeTail(v, newV, C - i);
      }
      p += 16;
      m += 16;
      v += 16;
    }
  }
}

/** Kernel: a += weight (b - a). Arguments: a, b, n, weight. */
export function lerp(part: i32, parts: i32): void {
  const n = int(args.n);
  const begin = partBegin(n, GRAIN, part, parts), end = partBegin(n, GRAIN, part + 1, parts);
  const weight = f32x4.splat(float(args.weight));
  let a = pointer(args.a) + (<usize>begin << 2), b = pointer(args.b) + (<usize>begin << 2);
  for (let i = begin; i < end; i += 4) {
    const x = v128.load(a);
    const y = madd(f32x4.sub(v128.load(b), x), weight, x);
    if (i + 4 <= end) v128.store(a, y);
    else storeTail(a, y, end - i);
    a += 16;
    b += 16;
  }
}
