/**
 * @file Exercise 11: a window as an interval. The attentions of this library have no masks. Byte i sees the keys lo[i] .. hi[i] - 1: itself and
 * the window - 1 bytes before it.
 */
import { hole } from '../hole.ts';

/** lo [n] and hi [n] of a causal window over n bytes. */
export function windowInterval(n: number, window: number): { lo: number[]; hi: number[] } {
  return hole(n, window);
}
