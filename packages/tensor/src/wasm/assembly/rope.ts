/** @file Rotary position embedding. */
import * as args from '../arguments/rope';
import { int, partBegin, pointer } from './core/call';
import { madd, storeTail } from './core/simd';

/** Pairs (a, b) turned: (a cos - b sin, a sin + b cos); cosines and sines already stand twice each. */
// @ts-ignore: decorator
@inline
function turn(x: v128, cosine: v128, sine: v128): v128 {
  const swapped = v128.shuffle<f32>(x, x, 1, 0, 3, 2);
  return madd(swapped, sine, f32x4.mul(x, cosine));
}

/** Kernel. Arguments: y, x, cos, sin, positions, rows, width, head dim, inverse. */
export function rope(part: i32, parts: i32): void {
  const rows = int(args.rows), width = int(args.width), D = int(args.headDim);
  // The sign of the sine: minus for the first of each pair, the other way round for the inverse.
  const flip = int(args.inverse) ? f32x4(0, -0.0, 0, -0.0) : f32x4(-0.0, 0, -0.0, 0);
  const half = <usize>D << 1;
  const end = partBegin(rows, 1, part + 1, parts);
  for (let i = partBegin(rows, 1, part, parts); i < end; i++) {
    const position = load<i32>(pointer(args.positions) + (<usize>i << 2));
    const cos = pointer(args.cos) + position * half, sin = pointer(args.sin) + position * half;
    let x = pointer(args.x) + (<usize>(i * width) << 2), y = pointer(args.y) + (<usize>(i * width) << 2);
    for (let c = 0; c < width; c += D) {
      let at: usize = 0;
      for (let d = 0; d < D; d += 4) {
        const cosines = v128.load64_splat(cos + at), sines = v128.load64_splat(sin + at);
        const turned = turn(v128.load(x), v128.shuffle<f32>(cosines, cosines, 0, 0, 1, 1),
          v128.xor(v128.shuffle<f32>(sines, sines, 0, 0, 1, 1), flip));
        if (d + 4 <= D) {
          v128.store(y, turned);
          x += 16;
          y += 16;
        } else {
          storeTail(y, turned, 2);
          x += 8;
          y += 8;
        }
        at += 8;
      }
    }
  }
}
