/** @file The gate of a feed-forward layer, silu(a) b, and its gradient, in loops like those of kernels.ts. */
import * as args from '../../arguments/elementwise';
import { int, partBegin, pointer } from '../core/call';
import { madd, sigmoid4 } from '../core/simd';
import { ONE } from './operations';
import { GRAIN, storeUpTo4 } from './rows';

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
