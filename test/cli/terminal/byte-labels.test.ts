import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byteEscape, characters, printable, utf8Length } from '../../../packages/cli/src/terminal/byte-labels.ts';
import { runs } from '../../support/runs.ts';

const fatal = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();
/** Bytes that are dense in near misses of UTF-8. */
const nearUtf8 = fc
  .array(
    fc.oneof(
      fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0xc1, 0xc2, 0x80, 0x9f, 0xa0, 0xbf, 0x41),
      fc.integer({ min: 0, max: 255 }),
    ),
    {
      maxLength: 12,
    },
  )
  .map((bytes) => Uint8Array.from(bytes));

test('a character is well-formed exactly when a strict decoder takes it as one code point', () => {
  fc.assert(
    fc.property(nearUtf8, (bytes) => {
      for (let at = 0; at < bytes.length; at++) {
        const expected = [1, 2, 3, 4].find((length) => {
          try {
            return at + length <= bytes.length && [...fatal.decode(bytes.subarray(at, at + length))].length === 1;
          } catch {
            return false;
          }
        });
        expect(utf8Length(bytes, at)).toBe(expected ?? 0);
      }
    }),
    { numRuns: runs(300) },
  );
});

test('the lengths of the characters add up to the bytes', () => {
  fc.assert(
    fc.property(nearUtf8, (bytes) => {
      let at = 0;
      for (const character of characters(bytes)) {
        expect(character.at).toBe(at);
        at += character.length;
      }
      expect(at).toBe(bytes.length);
    }),
    { numRuns: runs(200) },
  );
});

test('no control or bidirectional character reaches the terminal', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        nearUtf8,
        fc.string({ unit: 'binary' }).map((s) => utf8.encode(s)),
      ),
      (bytes) => {
        expect(printable(bytes, '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      },
    ),
    { numRuns: runs(300) },
  );
  expect(printable(utf8.encode('\u202e'))).toBe('\\xe2\\x80\\xae');
  expect(printable(utf8.encode('\x1b[31m'))).toBe('\\e[31m');
  expect(printable(utf8.encode('\ufeffa'))).toBe('\\xef\\xbb\\xbfa');
});

test('printable text comes through unchanged', () => {
  for (const text of ['Call me Ishmael.', '日本語 é ñ 𝄞', 'a\nb']) expect(printable(utf8.encode(text))).toBe(text);
});

test('escapes are short for the common controls and hexadecimal for the rest', () => {
  expect([0, 9, 10, 13, 27, 1, 127, 255].map(byteEscape)).toEqual([
    '\\0',
    '\\t',
    '\\n',
    '\\r',
    '\\e',
    '\\x01',
    '\\x7f',
    '\\xff',
  ]);
});
