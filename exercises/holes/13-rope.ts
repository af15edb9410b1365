/**
 * @file Exercise 13: positions as turns. RoPE takes a row as pairs (x_2j, x_2j+1), and turns pair j by the angle position * theta^(-2j / n).
 * A product of two turned rows then depends on the distance of their positions alone.
 */
import { hole } from '../hole.ts';

/** The row x of even length n, turned for its position. A turn of (a, b) by t is (a cos t - b sin t, a sin t + b cos t). */
export function rope(x: readonly number[], position: number, theta: number): number[] {
  return hole(x, position, theta);
}
