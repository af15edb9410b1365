/** @file A solution of exercise 2. */

export const isSpaceLike = (byte: number): boolean => !/[0-9A-Za-z\x80-\xbf]/.test(String.fromCharCode(byte));

export function ends(bytes: readonly number[]): boolean[] {
  return bytes.map((byte, i) => isSpaceLike(byte) && !(i > 0 && isSpaceLike(bytes[i - 1])));
}
