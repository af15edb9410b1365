import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BOS, decode, decodeBytes, EOS, encode } from '../../../packages/blt/src/patching/vocabulary.ts';
import { fixture } from '../../support/fixture.ts';
import { runs } from '../../support/runs.ts';

interface Golden {
  encode: { text: string; utf8: number[]; ids_bos_eos: number[]; ids_bos: number[]; ids_plain: number[] }[];
  decode: { ids: number[]; decode: string; decode_cut_at_eos: string }[];
}
const golden = fixture<Golden>('tokenizer.json');

describe('golden', () => {
  test.each(golden.encode)('encode $text', (c) => {
    expect([...encode(c.text)]).toEqual(c.ids_bos);
    expect([...encode(c.text, { eos: true })]).toEqual(c.ids_bos_eos);
    expect([...encode(c.text, { bos: false })]).toEqual(c.ids_plain);
    expect([...encode(Uint8Array.from(c.utf8), { eos: true })]).toEqual(c.ids_bos_eos);
    expect([...decodeBytes(c.ids_bos_eos)]).toEqual(c.utf8);
    expect(decode(c.ids_bos_eos)).toBe(c.text);
  });
  test.each(golden.decode)('decode $ids', (c) => {
    expect(decode(c.ids)).toBe(c.decode);
    expect(decode(Int32Array.from(c.ids), { cutAtEos: true })).toBe(c.decode_cut_at_eos);
  });
});

test('decode undoes encode for any bytes and for any well-formed text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 40 }), (bytes, text) => {
      expect([...decodeBytes(encode(bytes, { eos: true }))]).toEqual([...bytes]);
      expect(decode(encode(text, { eos: true }), { cutAtEos: true })).toBe(text);
    }),
    { numRuns: runs(200) },
  );
});

test('every broken byte is dropped and nothing else: noise between texts leaves the texts', () => {
  const noise = fc.constantFrom([0x80], [0xff], [0xc0], [0xc1], [0xf5], [0xbf, 0xbf], [0xed, 0xa0, 0x80], [0xe0, 0x80]);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 8 }), noise)), (parts) => {
      const ids = parts.flatMap(([text, broken]) => [...encode(text, { bos: false }), ...broken.map((b) => b + 4)]);
      expect(decode(ids)).toBe(parts.map(([text]) => text).join(''));
    }),
    { numRuns: runs(200) },
  );
});

test('decoding agrees with the platform decoder once both have dropped U+FFFD', () => {
  const bytes = fc.array(
    fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0xe0, 0xed, 0xf0, 0xf4, 0x80, 0xbf)),
  );
  const strip = (s: string) => s.replaceAll('\ufffd', '');
  fc.assert(
    fc.property(bytes, (b) => {
      const platform = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(b));
      expect(strip(decode(encode(Uint8Array.from(b))))).toBe(strip(platform));
    }),
    { numRuns: runs(400) },
  );
});

test('lone surrogates are dropped, pairs, U+FFFD and a leading byte order mark stay', () => {
  expect(decode(encode('a\ud800b\udc00'))).toBe('ab');
  expect(decode(encode('\ufeffa🙂\ufffd'))).toBe('\ufeffa🙂\ufffd');
  expect([...encode('')]).toEqual([BOS]);
  expect(decode([EOS, 69], { cutAtEos: true })).toBe('');
});

test('an id beyond the vocabulary is refused', () => {
  expect(() => decode([69, 260])).toThrow('id 260 at position 1');
});
