/** @file x^n for whole n, with the same bits on every machine. */
/**
 * x^n for a whole n >= 0 by repeated squaring: multiplications alone, so the same bits on every engine. ECMAScript leaves `**`
 * to the engine, and V8 13 (Node 24) gives other last bits than V8 11 and 12 (Node 20 and 22).
 * Relative error below n 2^-53.
 */
export function integerPower(x: number, n: number): number {
  let power = 1;
  for (let square = x; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) power *= square;
    square *= square;
  }
  return power;
}
