/** @file The files that transformers needs beside weights. That it opens them is checked by test/interop/pipeline.py. */
import { byteCharacters, configToHuggingFace, encode, transformersConfig, transformersFiles } from '@blt-ts/blt';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { property } from '../../support/property.ts';
import { configs } from '../../support/small-model.ts';

const [config] = fc.sample(configs, { numRuns: 1, seed: 1 });

test('the characters of bytes are those of GPT-2', () => {
  const characters = byteCharacters();
  // From bytes_to_unicode() of its encoder.py.
  const theirs = {
    0: 'Ā',
    9: 'ĉ',
    10: 'Ċ',
    32: 'Ġ',
    33: '!',
    65: 'A',
    126: '~',
    127: 'ġ',
    128: 'Ģ',
    160: 'ł',
    161: '¡',
    173: 'Ń',
    174: '®',
    255: 'ÿ',
  };
  for (const [byte, character] of Object.entries(theirs))
    expect([byte, characters[Number(byte)]]).toEqual([byte, character]);
  expect(new Set(characters).size).toBe(256);
});

interface Tokenizer {
  model: { vocab: Record<string, number>; merges: unknown[] };
  added_tokens: { id: number; content: string; special: boolean }[];
}

test('the vocabulary has our ids: every byte is byte + 4, and BOS stands in front', () => {
  const tokenizer = transformersFiles(config)['tokenizer.json'] as unknown as Tokenizer;
  const { vocab, merges } = tokenizer.model;
  expect(merges).toEqual([]);
  expect(Object.values(vocab).sort((a, b) => a - b)).toEqual([...Array(260).keys()]);
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  expect(byteCharacters().map((character) => vocab[character])).toEqual([...encode(bytes, { bos: false })]);
  expect(tokenizer.added_tokens.map(({ id, content }) => [id, content])).toEqual([
    [0, '<boe>'],
    [1, '<s>'],
    [2, '</s>'],
    [3, '<bpe>'],
  ]);
  expect(JSON.stringify(tokenizer)).toContain('"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}');
});

test('text with the name of a special id is bytes, and generation ends at EOS without a cache', () => {
  const { 'tokenizer_config.json': tokenizer, 'generation_config.json': generation } = transformersFiles(config);
  expect(tokenizer).toMatchObject({
    split_special_tokens: true,
    clean_up_tokenization_spaces: false,
    bos_token: '<s>',
  });
  expect(generation).toMatchObject({ eos_token_id: 2, use_cache: false, suppress_tokens: [0, 1, 3] });
});

property('config.json has the special ids and every key of the model', configs, 20, (drawn) => {
  expect(transformersConfig(drawn)).toEqual({
    ...configToHuggingFace(drawn),
    ...{ bos_token_id: 1, eos_token_id: 2, pad_token_id: 0, use_cache: false },
  });
});

test('the plain configuration keeps its keys, because archives know a model by them', () => {
  expect(Object.keys(configToHuggingFace(config)).filter((key) => /token|cache/.test(key))).toEqual([]);
});
