/** @file The bytes of a chat, which of them are answers, and what is refused. */
import { answeredIds, type ChatMessage, chatPrompt, chatText, completionText, decodeBytes } from '@blt-ts/blt';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const content = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .map((one) => [...one.replace(/\p{Cs}/gu, '')].filter((character) => character > '\u0003').join(''));
const messages = fc
  .array(fc.record({ role: fc.constantFrom('user', 'assistant', 'system', 'tool_1'), content }), { maxLength: 6 })
  .map((list): ChatMessage[] => [...list, { role: 'assistant', content: 'yes' }]);

test('a message is 0x01, role, 0x02, content, 0x03', () => {
  const { bytes, answers } = chatText([
    { role: 'user', content: 'Hé?' },
    { role: 'assistant', content: 'Yes.' },
  ]);
  expect(text(bytes)).toBe('\x01user\x02Hé?\x03\x01assistant\x02Yes.\x03');
  expect(answers).toEqual([[22, 27]]);
  expect(text(bytes.subarray(22, 27))).toBe('Yes.\x03');
  expect(chatPrompt([{ role: 'user', content: 'Hé?' }])).toBe('\x01user\x02Hé?\x03\x01assistant\x02');
});

test('the messages can be read back from the bytes, and the answers are the contents of the assistant', () => {
  fc.assert(
    fc.property(messages, (list) => {
      const { bytes, answers } = chatText(list);
      const read = text(bytes)
        .split('\u0003')
        .slice(0, -1)
        .map((message) => message.slice(1).split('\u0002'))
        .map(([role, said]) => ({ role, content: said }));
      expect(read).toEqual(list);
      const own = list.filter(({ role }) => role === 'assistant').map((one) => `${one.content}\x03`);
      expect(answers.map(([from, to]) => text(bytes.subarray(from, to)))).toEqual(own);
      // A model is asked with the bytes that stand before an answer in a training document.
      expect(text(bytes).startsWith(chatPrompt(list.slice(0, -1)))).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('of a completion the bytes and the end of the document count', () => {
  const { ids, counted } = answeredIds(completionText('2+2=', '4'));
  expect(text(decodeBytes(ids))).toBe('2+2=4');
  expect([...counted]).toEqual([0, 0, 0, 0, 0, 1, 1]);
});

test.each([
  [[{ role: 'user', content: 'x' }], 'no message has the role assistant'],
  [[{ role: 'a b', content: 'x' }], 'message 1 has the role "a b"; a role is a name'],
  [[{ role: 'user', content: 'x\u0002' }], 'message 1 holds the byte 0x02'],
])('%j is refused', (list, message) => {
  expect(() => chatText(list)).toThrow(message);
  expect(() => completionText('x', '')).toThrow('the completion is empty');
});
