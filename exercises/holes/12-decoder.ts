/**
 * @file Exercise 12: the decoder's shift. The decoder at byte i predicts byte i + 1. It must not read the patch that holds byte i + 1, or it would
 * know the answer. So it reads the patch before that one. Each patch has k rows: those of patch j are k * j .. k * j + k - 1.
 */
import { hole } from '../hole.ts';

/** lo [n] and hi [n] for n bytes. `starts` are the first bytes of the patches: 0, 1, and so on. The last may be n. */
export function decoderInterval(n: number, starts: readonly number[], k: number): { lo: number[]; hi: number[] } {
  return hole(n, starts, k);
}
