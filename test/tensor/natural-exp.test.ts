import { readdirSync, readFileSync } from 'node:fs';
import { naturalCos, naturalExp, naturalLog, naturalSin } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { property } from '../support/property.ts';

describe('naturalExp', () => {
  // Math.exp of V8 is fdlibm's, whose error is below one unit in the last place.
  property('is e^x to 1e-15', fc.integer({ min: -708e6, max: 709e6 }), 1000, (millionths) => {
    const x = millionths / 1e6;
    expect(Math.abs(naturalExp(x) / Math.exp(x) - 1)).toBeLessThan(1e-15);
  });

  property('is undone by naturalLog', fc.integer({ min: -300e6, max: 300e6 }), 300, (millionths) => {
    const x = millionths / 1e6;
    expect(Math.abs(naturalLog(naturalExp(x)) - x)).toBeLessThan(1e-13 * Math.max(1, Math.abs(x)));
  });

  test('has its ends: 0, Infinity and NaN', () => {
    expect([naturalExp(0), naturalExp(-709), naturalExp(-Infinity), naturalExp(710), naturalExp(Infinity)]).toEqual([
      1,
      0,
      0,
      Infinity,
      Infinity,
    ]);
    expect(naturalExp(Number.NaN)).toBeNaN();
  });
});

describe('naturalSin and naturalCos', () => {
  // Multiples of 2^-12 up to 2^19, and as many neighbours of the multiples of pi / 2, where digits cancel.
  const angle = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((i) => i / 4096),
    fc
      .tuple(fc.integer({ min: -300_000, max: 300_000 }), fc.integer({ min: -3, max: 3 }))
      .map(([k, i]) => (k * Math.PI) / 2 + i / 1e6),
  );
  property('are sine and cosine to 1e-15', angle, 2000, (x) => {
    expect(Math.abs(naturalSin(x) - Math.sin(x))).toBeLessThan(1e-15);
    expect(Math.abs(naturalCos(x) - Math.cos(x))).toBeLessThan(1e-15);
  });

  test('have their exact values at 0, and none where there is no angle', () => {
    expect([naturalSin(0), naturalCos(0)]).toEqual([0, 1]);
    for (const x of [Number.NaN, Infinity, -Infinity]) expect([naturalSin(x), naturalCos(x)]).toEqual([NaN, NaN]);
  });
});

test('no computation of autograd or blt uses functions whose last bits an engine may choose', () => {
  const inexact = /Math\.(?:exp|expm1|log|log10|log1p|pow|sinh?|cosh?|tanh?|asin|acos|atan2?|cbrt|hypot)\(/;
  const files = ['autograd', 'blt'].flatMap((name) => {
    const folder = new URL(`../../packages/${name}/src/`, import.meta.url);
    const paths = readdirSync(folder, { recursive: true }).map(String);
    return paths
      .filter((path) => path.endsWith('.ts') && !path.includes('testing'))
      .map((path) => new URL(path, folder));
  });
  expect(files.length).toBeGreaterThan(80);
  expect(files.filter((file) => inexact.test(readFileSync(file, 'utf8'))).map(String)).toEqual([]);
});
