/**
 * @file An exponential with the same bits on every JavaScript engine: ECMAScript leaves Math.exp "implementation-approximated".
 */

const expValue = new Float64Array([1]);
const expWords = new Int32Array(expValue.buffer);
/** Which half of a float64 holds its exponent: 1 on little-endian machines. */
const HIGH = expWords[1] !== 0 ? 1 : 0;

/** ln 2 in two parts. Multiples of the first by whole numbers below 2^11 are exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
/** Below it 2^k is no normal number; the result is 0. */
const SMALLEST = -708;
/** Above it the result is Infinity. */
const LARGEST = 709;

/**
 * e^x with a relative error below 1e-15 for -708 <= x <= 709, from + - * / only; 0 below and Infinity above.
 * x = k ln 2 + r with |r| <= ln 2 / 2, and e^x = 2^k (1 + r + r^2/2! + ... + r^13/13!).
 */
export function naturalExp(x: number): number {
  if (!(x >= SMALLEST)) return x < SMALLEST ? 0 : Number.NaN;
  if (x > LARGEST) return Number.POSITIVE_INFINITY;
  const k = Math.floor(x / Math.LN2 + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let series = 1 / 6227020800;
  series = series * r + 1 / 479001600;
  series = series * r + 1 / 39916800;
  series = series * r + 1 / 3628800;
  series = series * r + 1 / 362880;
  series = series * r + 1 / 40320;
  series = series * r + 1 / 5040;
  series = series * r + 1 / 720;
  series = series * r + 1 / 120;
  series = series * r + 1 / 24;
  series = series * r + 1 / 6;
  series = series * r + 1 / 2;
  series = series * r + 1;
  expValue[0] = series * r + 1;
  expWords[HIGH] += k << 20;
  return expValue[0];
}
