/**
 * @file Sine and cosine with the same bits on every JavaScript engine: ECMAScript leaves Math.sin and Math.cos "implementation-approximated".
 */

/** pi / 2 in three parts. Multiples of the first two by whole numbers below 2^20 are exact. */
const [HALF_PI_1, HALF_PI_2, HALF_PI_3] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21];
/** Coefficients of z^n in sin(r) / r and in cos(r), z = r^2: (-1)^n / (2n + 1)! and (-1)^n / (2n)!. */
const [SINE, COSINE] = [1, 0].map((odd) => {
  const series = [1];
  for (let n = 1; n < 10; n++) series.push(-series[n - 1] / ((2 * n - 1 + odd) * (2 * n + odd)));
  return series;
});

const sumOf = (series: readonly number[], z: number): number => series.reduceRight((sum, c) => sum * z + c, 0);

/** sin of x + quarters * pi / 2. x = k pi / 2 + r with |r| <= pi / 4, and k + quarters says which series of r it is, with which sign. */
function turned(x: number, quarters: number): number {
  if (!Number.isFinite(x)) return Number.NaN;
  const k = Math.round(x / (Math.PI / 2));
  const r = x - k * HALF_PI_1 - k * HALF_PI_2 - k * HALF_PI_3;
  const quarter = (((k + quarters) % 4) + 4) % 4;
  const value = quarter % 2 === 0 ? r * sumOf(SINE, r * r) : sumOf(COSINE, r * r);
  return quarter < 2 ? value : -value;
}

/** sin x with an error below 1e-15 for |x| up to 2^20, from + - * / only. NaN for what is not finite. */
export const naturalSin = (x: number): number => turned(x, 0);

/** cos x with an error below 1e-15 for |x| up to 2^20, from + - * / only. NaN for what is not finite. */
export const naturalCos = (x: number): number => turned(x, 1);
