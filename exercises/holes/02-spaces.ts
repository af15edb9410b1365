/**
 * @file Exercise 2: cut by spaces. The simplest patches are words. A patch ends after a byte that is no letter, no digit and no
 * continuation byte of UTF-8, unless the byte before it was of that kind too.
 */
import { hole } from '../hole.ts';

/** Neither a digit, nor an ASCII letter, nor a continuation byte of UTF-8 (128 to 191). This part is given. */
export const isSpaceLike = (byte: number): boolean => !/[0-9A-Za-z\x80-\xbf]/.test(String.fromCharCode(byte));

/** For each byte, whether a patch ends after it. The first byte has no byte before it. */
export function ends(bytes: readonly number[]): boolean[] {
  return hole(bytes);
}
