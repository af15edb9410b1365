import { naturalExp, naturalLog } from '@blt-ts/tensor';
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
