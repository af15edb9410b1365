import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonl } from '../../../packages/cli/src/data/jsonl.ts';
import { UserError } from '../../../packages/cli/src/terminal/errors.ts';
import { runs } from '../../support/runs.ts';

const utf8 = new TextEncoder();
const texts = (bytes: Uint8Array): string[] =>
  parseJsonl(bytes, 'x.jsonl').map((d) => new TextDecoder().decode(d.bytes));

test('what was written one text a line is read back, whatever the text', () => {
  const text = fc.string({ unit: 'grapheme' });
  const line = fc.oneof(
    text.map((t): [string, string] => [JSON.stringify(t), t]),
    fc
      .tuple(fc.constantFrom('text', 'content', 'body'), text)
      .map(([f, t]): [string, string] => [JSON.stringify({ id: 1, [f]: t }), t]),
  );
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom('\n', '\r\n', '\n\n', '\n \n'), (lines, newline) => {
      const file = lines.map(([json]) => json).join(newline);
      expect(texts(utf8.encode(file))).toEqual(lines.map(([, t]) => t));
      expect(texts(utf8.encode(`\ufeff${file}\n`))).toEqual(lines.map(([, t]) => t));
    }),
    { numRuns: runs(100) },
  );
});

test('documents are named by file and line', () => {
  expect(parseJsonl(utf8.encode('"a"\n\n"b"'), 'd/x.jsonl').map((d) => d.name)).toEqual(['d/x.jsonl:1', 'd/x.jsonl:3']);
});

test('text comes before content before body, and a named field wins', () => {
  const line = utf8.encode('{"body":"B","content":"C","text":"T","abstract":"A"}');
  expect(texts(line)).toEqual(['T']);
  expect(parseJsonl(line, 'x', 'abstract')[0].bytes).toEqual(utf8.encode('A'));
});

test('unpaired surrogates are dropped', () => {
  const [{ bytes }] = parseJsonl(utf8.encode('{"text":"a\\ud800b\\udc00c😀"}'), 'x.jsonl');
  expect(bytes).toEqual(utf8.encode('abc😀'));
});

test.each<[string, string | Uint8Array, RegExp]>([
  ['broken JSON', '"a"\n{"text": ', /^x\.jsonl line 2 is not valid JSON/],
  [
    'no field',
    '{"title":"t","n":1}',
    /line 1 has none of the fields text, content, body, messages, or prompt and completion \(its fields: title, n\).*--text-field/,
  ],
  ['a field of another type', '{"text":5}', /field 'text' is a number, not a string/],
  ['an array', '[1]', /line 1 is an array; each line must be an object/],
  ['null', 'null', /line 1 is null/],
  ['no messages', '"a"\n{"messages":[]}', /^x\.jsonl line 2: messages is empty; it must be a list such as/],
  ['messages that are no list', '{"messages":"hi"}', /line 1: messages is a string/],
  ['a message without a role', '{"messages":[{"content":"x"}]}', /line 1: message 1 has as role nothing/],
  [
    'a content in parts',
    '{"messages":[{"role":"user","content":[]}]}',
    /line 1: message 1 has as content an array; .* both texts/,
  ],
  ['a chat without an answer', '{"messages":[{"role":"user","content":"x"}]}', /line 1: no message has the role/],
  ['an empty completion', '{"prompt":"x","completion":""}', /line 1: the completion is empty/],
  ['a completion that is no text', '{"prompt":"x","completion":1}', /line 1: field 'completion' is a number/],
  ['bytes that are no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /line 1 is not valid UTF-8/],
])('%s is refused by line', (_, contents, message) => {
  const bytes = typeof contents === 'string' ? utf8.encode(contents) : contents;
  expect(() => parseJsonl(bytes, 'x.jsonl')).toThrow(UserError);
  expect(() => parseJsonl(bytes, 'x.jsonl')).toThrow(message);
});

test('inherited names are no fields', () => {
  expect(() => parseJsonl(utf8.encode('{}'), 'x.jsonl', 'constructor')).toThrow(/no field 'constructor'/);
});

test('no bytes whatever make it throw anything but a UserError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        parseJsonl(bytes, 'x');
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
    { numRuns: runs(200) },
  );
});

test('a byte order mark, carriage returns, and a last line without its end', () => {
  expect(texts(utf8.encode('\ufeff"a"\r\n"b"\r\n"c"'))).toEqual(['a', 'b', 'c']);
  expect(() => parseJsonl(utf8.encode('{"text":"a"}\n{"text":"b'), 'x.jsonl')).toThrow(
    /^x\.jsonl line 2 is not valid JSON .*; it is the last line and has no end, so the file may be cut short$/,
  );
  expect(() => parseJsonl(utf8.encode('{"text":\n"a"}\n'), 'x.jsonl')).toThrow(
    /^x\.jsonl line 1 .*one whole JSON value$/,
  );
});

test('texts that share a block of memory do not touch each other', () => {
  const lines = Array.from({ length: 3000 }, (_, i) => String(i).repeat(i % 300));
  expect(texts(utf8.encode(lines.map((line) => JSON.stringify(line)).join('\n')))).toEqual(lines);
});

test('chats and completions are read with their answers; a text field wins', () => {
  const read = (value: object) => parseJsonl(utf8.encode(JSON.stringify(value)), 'x.jsonl')[0];
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'bc' },
  ];
  const { bytes, answers } = read({ messages, content: 'not this' });
  expect(answers!.map(([from, to]) => [...bytes.subarray(from, to)])).toEqual([[98, 99, 3]]);
  expect(read({ prompt: 'ab', completion: 'cd' })).toEqual({
    name: 'x.jsonl:1',
    bytes: utf8.encode('abcd'),
    answers: [[2, 4]],
  });
  expect(read({ messages, text: 'this' })).toEqual({ name: 'x.jsonl:1', bytes: utf8.encode('this') });
  expect(read({ prompt: 'only', body: 'this' }).answers).toBeUndefined();
});
