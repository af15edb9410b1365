/** @file Elements that become 0 at random, by a hash of their places. */
import * as args from '../../arguments/elementwise';
import { float, int, partBegin, pointer } from '../core/call';
import { storeTail } from '../core/simd';
import { GRAIN } from './rows';

/** The bijection `mix` of numerics/hash32.ts on four lanes. */
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
