import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PATCH_SEPARATOR, patchSummary, showPatches } from '../../../packages/cli/src/terminal/patch-view.ts';
import { runs } from '../../support/runs.ts';

const utf8 = new TextEncoder();
/** Patch lengths >= 1 with as many bytes as they say. */
const patched = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 }).chain((lengths) => {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return fc.record({
    lengths: fc.constant(lengths),
    bytes: fc.uint8Array({ minLength: total, maxLength: total }),
  });
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
const SGR = /\x1b\[[0-9;]*m/g;

test('patches are told apart without colour by one separator between each two', () => {
  expect(showPatches(utf8.encode('Hello world'), [1, 5, 5], { color: false })).toBe('H│ello │world');
  fc.assert(
    fc.property(patched, ({ bytes, lengths }) => {
      // The separator's own three bytes could occur in the data; then there are more.
      const pieces = showPatches(bytes, lengths, { color: false }).split(PATCH_SEPARATOR);
      expect(pieces.length).toBeGreaterThanOrEqual(Math.max(1, lengths.length));
    }),
    { numRuns: runs(100) },
  );
});

test('with colour removed, a coloured view is the plain one without separators', () => {
  fc.assert(
    fc.property(patched, ({ bytes, lengths }) => {
      const plain = showPatches(bytes, lengths, { color: false });
      fc.pre(!new TextDecoder().decode(bytes).includes(PATCH_SEPARATOR));
      expect(showPatches(bytes, lengths, { color: true }).replace(SGR, '')).toBe(plain.replaceAll(PATCH_SEPARATOR, ''));
    }),
    { numRuns: runs(100) },
  );
});

test('no colour is open where a line ends', () => {
  const view = showPatches(utf8.encode('a\nb\n\nc'), [3, 3], { color: true });
  for (const line of view.split('\n')) expect(line === '' || line.endsWith('\x1b[0m')).toBe(true);
  expect(view.replace(SGR, '')).toBe('a⏎\nb⏎\n⏎\nc');
});

test('neighbouring patches never have the same colour', () => {
  const view = showPatches(utf8.encode('abcd'), [1, 0, 1, 2], { color: true });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  const colors = [...view.matchAll(/\x1b\[(30[0-9;]*)m/g)].map((match) => match[1]);
  expect(colors).toHaveLength(3);
  expect(colors[0]).not.toBe(colors[1]);
  expect(colors[1]).not.toBe(colors[2]);
});

test('a character cut by a patch boundary is shown as its bytes', () => {
  expect(showPatches(utf8.encode('é日'), [2, 1, 2], { color: false })).toBe('é│\\xe6│\\x97\\xa5');
});

test('the summary counts bytes, patches and their mean', () => {
  expect(patchSummary([1, 5, 6])).toBe('12 bytes  3 patches  4.00 bytes per patch');
  expect(patchSummary([1])).toBe('1 byte  1 patch  1.00 bytes per patch');
  expect(patchSummary([])).toBe('0 bytes  0 patches  0 bytes per patch');
});

test('lengths that do not add up are refused with both numbers', () => {
  expect(() => showPatches(utf8.encode('abc'), [1, 3], { color: false })).toThrow(/add up to 4.*3 bytes/);
  expect(() => showPatches(utf8.encode('abc'), [1.5, 1.5], { color: false })).toThrow(/1\.5/);
});
