/** @file The body of `POST /v1/chat/completions`: messages become the prompt of a text that the end of a message ends. */
import { CHAT_END, type ChatMessage, chatPrompt } from '@blt-ts/blt';
import * as z from 'zod';
import { ApiError } from './api-error.ts';
import { type CompletionRequest, parseCompletionRequest, type RequestLimits, refusal } from './completion-request.ts';
import { isEmptyList, refuseUnknown } from './unknown-fields.ts';

const text = z.string();
const part = z.looseObject({ type: z.literal('text'), text });
const content = z.union([text, z.array(part)], {
  error: 'must be a text, or a list of parts such as {"type": "text", "text": "..."}',
});
/** Without tools neither of these calls one. */
const callsNone = (value: unknown): boolean => value === 'none' || value === 'auto';

/** The fields that a chat has in place of those of a completion. The others are checked with those of a completion. */
const schema = z.looseObject({
  messages: z.array(z.looseObject({ role: text, content })).min(1),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
});

/** Fields of the API that this server cannot serve in a chat, and the values that change nothing. */
const UNSERVED = [
  ['logprobs', (value: unknown) => value === false],
  ['tools', isEmptyList],
  ['tool_choice', callsNone],
  ['parallel_tool_calls', (value: unknown) => typeof value === 'boolean'],
  ['function_call', callsNone],
  ['response_format', (value: unknown) => (value as { type?: unknown }).type === 'text'],
  ['modalities', (value: unknown) => Array.isArray(value) && value.length === 1 && value[0] === 'text'],
] as const;

type Messages = z.infer<typeof schema>['messages'];

/** @throws ApiError naming a field of a message that would be ignored. Lists without anything are those of answers that other servers gave. */
function refuseUnread(messages: Messages): void {
  for (const [i, message] of messages.entries()) {
    const full = Object.entries(message).filter(([, value]) => !isEmptyList(value));
    refuseUnknown(Object.fromEntries(full), ['role', 'content'], `messages.${i}.`);
    if (typeof message.content === 'string') continue;
    for (const [j, one] of message.content.entries()) {
      refuseUnknown(one, ['type', 'text'], `messages.${i}.content.${j}.`);
    }
  }
}

/** The prompt of some messages. @throws ApiError for a message that no chat can have */
function promptOf(messages: Messages): string {
  const chat = messages.map(
    ({ role, content }): ChatMessage => ({
      role,
      content: typeof content === 'string' ? content : content.map((one) => one.text).join(''),
    }),
  );
  try {
    return chatPrompt(chat);
  } catch (error) {
    if (error instanceof RangeError) throw new ApiError(400, error.message, 'messages');
    throw error;
  }
}

/**
 * A chat as a request for a completion. Without `max_completion_tokens` or `max_tokens` an answer may have all bytes that the server makes.
 * @throws ApiError naming the field, its value and what is allowed
 */
export function parseChatRequest(value: unknown, limits: RequestLimits): CompletionRequest {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refusal(parsed.error);
  refuseUnread(parsed.data.messages);
  const { messages, max_completion_tokens, max_tokens, ...others } = parsed.data;
  for (const [name, isNeutral] of UNSERVED) {
    const given = others[name];
    if (given != null && !isNeutral(given))
      throw new ApiError(400, `${name} is not served in a chat; leave it out`, name);
    delete others[name];
  }
  for (const name of ['prompt', 'echo']) {
    if (others[name] != null) throw new ApiError(400, `${name} is for /v1/completions; a chat has messages`, name);
  }
  const prompt = promptOf(messages);
  const most = max_completion_tokens ?? max_tokens ?? limits.maxBytes;
  const named = max_completion_tokens == null ? 'max_tokens' : 'max_completion_tokens';
  const request = parseCompletionRequest({ ...others, prompt, max_tokens: most }, limits, named);
  return { ...request, stops: [...request.stops, Uint8Array.of(CHAT_END)] };
}
