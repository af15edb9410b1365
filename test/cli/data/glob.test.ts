import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expandBraces, isGlob, segmentMatcher } from '../../../packages/cli/src/data/glob.ts';
import { runs } from '../../support/runs.ts';

/** Pattern pieces with the regular expression that means the same. */
const piece = fc.constantFrom<[string, string]>(
  ['a', 'a'],
  ['b', 'b'],
  ['.', '\\.'],
  ['-', '-'],
  ['*', '.*'],
  ['**', '.*'],
  ['?', '.'],
  ['[ab]', '[ab]'],
  ['[!ab]', '[^ab]'],
  ['[^a-b]', '[^ab]'],
  ['[]a]', '[\\]a]'],
  ['[a-]', '[a\\-]'],
  ['\\*', '\\*'],
  ['\\[', '\\['],
  ['[\\]-b]', '[\\]-b]'],
);
const name = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', '.', '*', '-', '[', ']', '日'),
  minLength: 1,
  maxLength: 8,
});

test('a pattern matches the names that the regular expression of the same meaning matches', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), name, (pieces, candidate) => {
      const pattern = pieces.map(([glob]) => glob).join('');
      const regex = new RegExp(`^${pieces.map(([, re]) => re).join('')}$`, 'su');
      const hidden = candidate.startsWith('.') && !pattern.startsWith('.');
      expect(segmentMatcher(pattern)(candidate)).toBe(regex.test(candidate) && !hidden);
    }),
    { numRuns: runs(500) },
  );
});

test('a name matches itself once its special characters are escaped', () => {
  fc.assert(
    fc.property(name, (candidate) => {
      expect(segmentMatcher(candidate.replace(/[\\*?[\]{}]/g, '\\$&'))(candidate)).toBe(true);
    }),
    { numRuns: runs(100) },
  );
});

test('many stars cost no exponential time: the answer comes at all', () => {
  expect(segmentMatcher(`${'*a'.repeat(60)}b`)('a'.repeat(255))).toBe(false);
});

test('a bracket that never closes is a plain character', () => {
  expect(segmentMatcher('a[b')('a[b')).toBe(true);
});

test('braces stand for each alternative in the order written, and may nest', () => {
  expect(expandBraces('{b,a}/*.{txt,md}')).toEqual(['b/*.txt', 'b/*.md', 'a/*.txt', 'a/*.md']);
  expect(expandBraces('x{a,b{c,d}}y')).toEqual(['xay', 'xbcy', 'xbdy']);
  expect(expandBraces('{a}')).toEqual(['{a}']);
  expect(expandBraces('{a,b')).toEqual(['{a,b']);
  expect(expandBraces('\\{a,b}')).toEqual(['\\{a,b}']);
  expect(expandBraces('')).toEqual(['']);
});

test('a pattern that stands for too many is refused before it is expanded', () => {
  expect(() => expandBraces('{a,b}'.repeat(40))).toThrow(RangeError);
});

test('only patterns are taken for patterns', () => {
  expect(['a.txt', 'a/b', 'a*', 'a?', '[a]', '{a,b}'].map(isGlob)).toEqual([false, false, true, true, true, true]);
});

test('very many braces are refused at once, paired or not', () => {
  for (const pattern of ['{a,b}'.repeat(20_000), '{'.repeat(100_000), '{a}'.repeat(30_000)]) {
    expect(() => expandBraces(pattern)).toThrow(/^it has more than 1000 braces$/);
  }
});
