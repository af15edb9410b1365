import { encode } from '@blt-ts/blt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Tokenizer } from '../../../packages/cli/src/study/bpe.ts';
import { trainBpe } from '../../../packages/cli/src/study/bpe-training.ts';
import { bytesOf, preSplit } from '../../../packages/cli/src/study/pre-split.ts';
import { fixture } from '../../support/fixture.ts';

interface Golden {
  readonly text: string;
  readonly merges: readonly (readonly [string, string])[];
  readonly encoded: readonly { readonly text: string; readonly tokens: readonly string[] }[];
}
const golden = fixture<Golden>('bpe-huggingface.json');
const utf8 = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const merges = trainBpe([utf8(golden.text)], golden.merges.length);
const tokenizer = new Tokenizer(merges);
const token = (i: number) => hex(tokenizer.decode(Int32Array.of(i + 4)));

describe('as Hugging Face tokenizers', () => {
  test('finds the same merges in the same order', () => {
    expect(golden.merges.length).toBe(700);
    expect(merges.map(([a, b]) => [token(a), token(b)])).toEqual(golden.merges);
  });
  test.each(golden.encoded)('encodes $text', ({ text, tokens }) => {
    expect([...tokenizer.encode(utf8(text))].map((id) => token(id - 4))).toEqual(tokens);
  });
});

/** Text of several scripts, and bytes that are no text. */
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }).map(utf8),
  fc
    .tuple(fc.string({ maxLength: 10 }), fc.uint8Array({ maxLength: 5 }))
    .map(([s, b]) => Uint8Array.of(...utf8(s), ...b)),
);

describe('laws', () => {
  test('decode(encode(x)) = x for any bytes, and the lengths of the tokens sum to the file', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const ids = tokenizer.encode(bytes);
        expect(tokenizer.decode(ids)).toEqual(bytes);
        expect(ids.reduce((sum, id) => sum + tokenizer.byteLengths[id], 0)).toBe(bytes.length);
        expect(Buffer.concat(preSplit(bytes).map(bytesOf))).toEqual(Buffer.from(bytes));
      }),
    );
  });
  test('without merges the ids are those of the byte models', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(new Tokenizer([]).encode(bytes)).toEqual(encode(bytes, { bos: false }));
      }),
    );
  });
  test('a longer vocabulary begins with the shorter one', () => {
    expect(trainBpe([utf8(golden.text)], 40)).toEqual(merges.slice(0, 40));
  });
  test('merging ends when every word is one token', () => {
    const few = trainBpe([utf8('low low lower')], 1000);
    expect(new Tokenizer(few).encode(utf8('low low lower'))).toHaveLength(3);
    expect(few.length).toBeLessThan(12);
  });
});

test('impossible numbers are refused by name', () => {
  expect(() => trainBpe([], -1)).toThrow('merges must be a whole number from 0 to 65280, got -1');
  expect(() => new Tokenizer([[256, 1]])).toThrow('merge 0 joins 256 and 1, of which the vocabulary has 256 so far');
});
