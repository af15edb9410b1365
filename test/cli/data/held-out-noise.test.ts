import { expect, test } from 'vitest';
import { standardError, tooFewHeldOut } from '../../../packages/cli/src/data/held-out-noise.ts';

test('few held-out bytes: how far the figure can be trusted is said', () => {
  expect(tooFewHeldOut(200)).toMatch(
    /^only 200 bytes are held out: bits per byte measured on them have a standard error of about 0\.21 \(3 \/ sqrt\(bytes\)\)/,
  );
  expect(tooFewHeldOut(3599)).toContain('0.05');
  expect(tooFewHeldOut(3600)).toBeNull();
  expect(tooFewHeldOut(0)).toBeNull();
  expect(standardError(10_000)).toBeCloseTo(0.03, 10);
});
