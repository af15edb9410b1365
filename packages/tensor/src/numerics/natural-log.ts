/**
 * @file A logarithm with the same bits on every JavaScript engine: ECMAScript leaves Math.log "implementation-approximated".
 */

const logValue = new Float64Array([1]);
const logWords = new Int32Array(logValue.buffer);
/** Which half of a float64 holds its exponent: 1 on little-endian machines. */
const HIGH = logWords[1] !== 0 ? 1 : 0;
const SQRT_HALF_HIGH = 0x3fe6a09e; // upper word of sqrt(1/2)

/**
 * Natural logarithm of a normal positive number, with an error below 4.5e-16 max(1, |ln x|), from + - * / only.
 * x = 2^e m with sqrt(1/2) <= m < sqrt(2); with f = (m - 1) / (m + 1), |f| < 0.172,
 * ln m = 2 artanh(f) = 2 f (1 + f^2/3 + f^4/5 + ... + f^18/19), and ln x = e ln 2 + ln m.
 */
export function naturalLog(x: number): number {
  logValue[0] = x;
  // Move the exponent's break from 1 to sqrt(1/2), so that m is around 1 where the series is short.
  const shifted = logWords[HIGH] - SQRT_HALF_HIGH;
  const exponent = shifted >> 20;
  logWords[HIGH] -= exponent << 20;
  const m = logValue[0];
  const f = (m - 1) / (m + 1);
  const z = f * f;
  let series = 1 / 19;
  series = series * z + 1 / 17;
  series = series * z + 1 / 15;
  series = series * z + 1 / 13;
  series = series * z + 1 / 11;
  series = series * z + 1 / 9;
  series = series * z + 1 / 7;
  series = series * z + 1 / 5;
  series = series * z + 1 / 3;
  return exponent * Math.LN2 + (2 * f + 2 * f * z * series);
}
