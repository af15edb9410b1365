/** @file `blt generate`: chats in files of prompts, chats from a pipe, and flags that cannot be. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { chatPrompt } from '@blt-ts/blt';
import { describe, expect, test } from 'vitest';
import { parsePrompts } from '../../../packages/cli/src/commands/generate-prompts.ts';
import { BLT } from '../../support/command.ts';

const model = fileURLToPath(new URL('../../fixtures/tiny_A_1b_like', import.meta.url));
const generate = (args: readonly string[], input = '') =>
  spawnSync(process.execPath, [BLT, 'generate', '--model', model, '--threads', '1', '-n', '1', ...args], {
    input,
    encoding: 'utf8',
  });

describe('a line of --prompts with --chat', () => {
  const user = { role: 'user', content: 'What is a whale?' };
  const system = { role: 'system', content: 'Be short.' };
  const promptOf = (line: unknown, of?: string) =>
    parsePrompts(Buffer.from(JSON.stringify(line)), 'chats.jsonl', { system: of })[0].prompt;

  test('has the message of --system before its prompt, and before its messages', () => {
    const both = chatPrompt([system, user]);
    expect(promptOf({ prompt: user.content }, system.content)).toBe(both);
    expect(promptOf({ messages: [user] }, system.content)).toBe(both);
    expect(promptOf({ messages: [system, user] })).toBe(both);
    expect(promptOf({ messages: [user] })).toBe(chatPrompt([user]));
  });

  test('is refused if it has two messages of the system, or two kinds of prompt', () => {
    expect(() => promptOf({ messages: [system, user] }, 'Be long.')).toThrow(
      'chats.jsonl line 1 begins with a message of the system, and --system gives another; leave one of the two out',
    );
    expect(() => promptOf({ prompt: 'a', messages: [user] })).toThrow(
      'chats.jsonl line 1 has both prompt and messages; with --chat a line has one of them',
    );
  });
});

test.each(['What is a whale?', 'What is a whale?\n', 'What is a whale?\r\n'])(
  'the line break at the end of a piped message is no part of it: %j',
  (piped) => {
    const { stdout } = generate(['--chat', '--prompt', '-', '--json'], piped);
    expect(JSON.parse(stdout).prompt).toBe(chatPrompt([{ role: 'user', content: 'What is a whale?' }]));
  },
);

test.each([
  [['--draft', '9', '--context', '16'], 'blt: --draft 9: it must be below half of --context (16); give less\n'],
  [['--draft', '300'], /^blt: --draft 300: it must be below half of --context \(\d+\); give less\n$/],
  [['--stop', ''], 'blt: --stop is empty, and no text ends with nothing; leave it out\n'],
])('%j is refused in the words of the command', (args, said) => {
  const { status, stderr } = generate(['-q', ...args]);
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: typeof said === 'string' ? said : expect.stringMatching(said),
  });
});
