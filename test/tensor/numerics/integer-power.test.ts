/** @file integerPower has the bits of repeated squaring. */
import { integerPower } from '@blt-ts/tensor';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { property } from '../../support/property.ts';

const bases = fc.integer({ min: 1, max: 4095 }).map((i) => i / 4096);

property(
  'x^n is x times x^(n-1), and agrees with ** within n roundings',
  fc.tuple(bases, fc.nat(20_000)),
  300,
  ([x, n]) => {
    const power = integerPower(x, n);
    expect(Math.abs(power - x ** n)).toBeLessThanOrEqual((n + 1) * 2 ** -52 * x ** n + 2 ** -1074);
  },
);

test('x^0 is 1, x^1 is x, powers of two are exact', () => {
  for (const x of [0, 0.9, -3, 1e300]) {
    expect(integerPower(x, 0)).toBe(1);
    expect(integerPower(x, 1)).toBe(x);
  }
  for (let n = 0; n <= 1000; n++) expect(integerPower(2, n)).toBe(Number(2n ** BigInt(n)));
});

test('the bits are those of multiplications in a fixed order, whatever engine runs them', () => {
  let x = 0.95;
  for (let squarings = 0; squarings < 5; squarings++) x *= x;
  expect(integerPower(0.95, 32)).toBe(x);
  expect(integerPower(0.95, 33)).toBe(0.95 * x);
});
