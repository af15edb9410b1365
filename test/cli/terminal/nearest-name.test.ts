import fc from 'fast-check';
import { expect, test } from 'vitest';
import { didYouMean, editDistance, nearestName } from '../../../packages/cli/src/terminal/nearest-name.ts';
import { runs } from '../../support/runs.ts';

const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '_'), maxLength: 8 });

test('edit distance is symmetric, zero exactly for equal words, and at most the longer length', () => {
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
    }),
    { numRuns: runs(100) },
  );
});

test('one insertion, deletion, substitution or swap of neighbours costs one', () => {
  for (const typo of ['thresold', 'threshhold', 'threshald', 'threshodl'])
    expect(editDistance(typo, 'threshold')).toBe(1);
});

test('a name is suggested only when it is close', () => {
  const names = ['patch_size', 'threshold', 'lr', 'k'];
  expect(nearestName('patchsize', names)).toBe('patch_size');
  expect(nearestName('PATCH-SIZE', names)).toBe('patch_size');
  expect(nearestName('tresold', names)).toBe('threshold');
  expect(nearestName('banana', names)).toBeUndefined();
  expect(didYouMean('treshold', names)).toBe(" (did you mean 'threshold'?)");
  expect(didYouMean('banana', names)).toBe('');
});
