/** @file Which query rows are computed alone: that of one text in decoding, or rows of several texts, which have no keys in common. */
import * as args from '../../arguments/attention';
import { pointer } from '../core/call';
import { storeTail } from '../core/simd';

/** Keys between the intervals of two rows that are not read in one tile: those in between would be computed in vain. */
const GAP = 32;

/**
 * Whether row i of n sees keys far away from those of its neighbours, as in decoding several texts. In training the intervals of
 * neighbours overlap or touch.
 */
export function isAlone(i: i32, n: i32): bool {
  const lo = pointer(args.lo) + (<usize>i << 2), hi = pointer(args.hi) + (<usize>i << 2);
  return (i == 0 || load<i32>(lo) - load<i32>(hi - 4) >= GAP) && (i == n - 1 || load<i32>(lo, 4) - load<i32>(hi) >= GAP);
}

/** to[0:D] = factor * from[0:D] */
export function writeRow(to: usize, from: usize, D: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  for (let d = 0; d < D; d += 4) {
    const x = f32x4.mul(v128.load(from), f);
    if (d + 4 <= D) v128.store(to, x);
    else storeTail(to, x, D - d);
    to += 16;
    from += 16;
  }
}
