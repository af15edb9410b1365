/** @file Chats and completions in JSON lines: `{"messages": [{"role", "content"}]}`, and `{"prompt", "completion"}`. */
import { type AnsweredText, type ChatMessage, chatText, completionText } from '@blt-ts/blt';
import { UserError } from '../terminal/errors.ts';

/** A value in words. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The messages of a line. @throws UserError naming the line and the message */
export function chatMessages(value: unknown, where: string): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) {
    const got = Array.isArray(value) ? 'empty' : describe(value);
    throw new UserError(
      `${where}: messages is ${got}; it must be a list such as [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]`,
    );
  }
  return value.map((message: unknown, i) => {
    const { role, content } = (typeof message === 'object' && message !== null ? message : {}) as Partial<ChatMessage>;
    if (typeof role === 'string' && typeof content === 'string') return { role, content };
    const wrong = typeof role === 'string' ? `content ${describe(content)}` : `role ${describe(role)}`;
    throw new UserError(
      `${where}: message ${i + 1} has as ${wrong.replace('a undefined', 'nothing')}; a message is {"role": "...", "content": "..."}, both texts`,
    );
  });
}

/**
 * The bytes of a line that is a chat, or a prompt with its completion, and which of them are answers. Null: it is neither.
 * @throws UserError naming the line
 */
export function answeredLine(record: Readonly<Record<string, unknown>>, where: string): AnsweredText | null {
  const { messages, prompt, completion } = record;
  try {
    if (messages !== undefined) return chatText(chatMessages(messages, where));
    if (prompt === undefined || completion === undefined) return null;
    for (const [name, value] of Object.entries({ prompt, completion })) {
      if (typeof value !== 'string')
        throw new UserError(`${where}: field '${name}' is ${describe(value)}, not a string`);
    }
    return completionText(prompt as string, completion as string);
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(`${where}: ${error.message}`, 1, { cause: error });
    throw error;
  }
}
