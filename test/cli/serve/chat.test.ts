/** @file Chats of `blt serve`, as the official client has them. */
import { CHAT_END, type ChatMessage, ContinuousBatch, chatPrompt, generate } from '@blt-ts/blt';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseChatRequest } from '../../../packages/cli/src/serve/chat-request.ts';
import { BatchLane } from '../../../packages/cli/src/serve/lane.ts';
import { serveModel } from '../../../packages/cli/src/serve/server.ts';
import { servedModel as checkpoint } from '../../support/served-model.ts';

const MESSAGES: ChatMessage[] & OpenAI.ChatCompletionMessageParam[] = [
  { role: 'system', content: 'Be short.' },
  { role: 'user', content: 'What is a whale?' },
  { role: 'assistant', content: 'A mammal.' },
  { role: 'user', content: 'naïve 鯨?' },
];
const limits = { maxBytes: 1500, maxTexts: 16 };
const ends: (() => void)[] = [];

/** A server of the small model. @returns its official client */
async function served(chats: boolean): Promise<OpenAI> {
  const lanes = [new BatchLane(new ContinuousBatch(checkpoint, { places: 4, promptBytes: 64 }), true)];
  const host = '127.0.0.1';
  const options = { checkpoint, lanes, model: 'small', chats, host, port: 0, apiKey: null, mostWaiting: 12, limits };
  const { server, port } = await serveModel(options);
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return new OpenAI({ baseURL: `http://${host}:${port}/v1`, apiKey: 'none', maxRetries: 0 });
}
let client: OpenAI;
beforeAll(async () => {
  client = await served(true);
});
afterAll(() => {
  for (const end of ends) end();
});

/** The answer of the model alone: what it makes of the documented bytes, up to the byte that ends a message. */
function alone(seed: number, maxBytes: number): { content: string; finish_reason: string } {
  const made = [...generate(checkpoint, chatPrompt(MESSAGES), { maxBytes, seed })];
  const end = made.indexOf(CHAT_END);
  const bytes = end < 0 ? made : made.slice(0, end);
  const stopped = end >= 0 || made.length < maxBytes;
  return { content: new TextDecoder().decode(Uint8Array.from(bytes)), finish_reason: stopped ? 'stop' : 'length' };
}
/** Seeds whose answers end early, made before a connection is open: while they are made, nothing answers. */
const SEEDS = Array.from({ length: 40 }, (_, seed) => seed)
  .filter((seed) => alone(seed, 100).finish_reason === 'stop')
  .slice(0, 3);
const ANSWERS = new Map(SEEDS.map((seed) => [seed, alone(seed, 100)]));
const ask = (seed: number, most: number) => ({
  model: 'small',
  messages: MESSAGES,
  max_completion_tokens: most,
  seed,
});

describe('a chat', () => {
  test.each(SEEDS)(
    'is answered with the bytes after its template, up to the end of the message (seed %i)',
    async (seed) => {
      const expected = ANSWERS.get(seed)!;
      // A model that has learnt nothing ends a message after 130 bytes or so: both ends are among the cases.
      expect(expected.finish_reason).toBe('stop');
      const whole = await client.chat.completions.create(ask(seed, 100));
      expect(whole.object).toBe('chat.completion');
      expect(whole.choices[0].message).toMatchObject({ role: 'assistant', content: expected.content });
      expect(whole.choices[0].finish_reason).toBe('stop');
      const cut = await client.chat.completions.create(ask(seed, 3));
      expect(cut.choices[0].message.content).toBe(alone(seed, 3).content);
      expect(cut.choices[0].finish_reason).toBe(alone(seed, 3).finish_reason);
      expect(cut.usage).toMatchObject({
        prompt_tokens: Buffer.byteLength(chatPrompt(MESSAGES)),
      });
    },
  );

  test('streams: the role first, then the pieces of the text, the end, and the use', async () => {
    const stream = await client.chat.completions.create({
      ...ask(SEEDS[1], 100),
      stream: true,
      stream_options: { include_usage: true },
    });
    const pieces: OpenAI.ChatCompletionChunk[] = [];
    for await (const piece of stream) pieces.push(piece);
    const usage = pieces.pop()!;
    expect(usage).toMatchObject({ object: 'chat.completion.chunk', choices: [] });
    const expected = ANSWERS.get(SEEDS[1])!;
    expect(usage.usage!.completion_tokens).toBeGreaterThan(0);
    const deltas = pieces.map(({ choices: [{ delta }] }) => delta);
    expect(deltas.map(({ role }) => role ?? null)).toEqual(['assistant', ...deltas.slice(1).map(() => null)]);
    expect(deltas.map(({ content }) => content ?? '').join('')).toBe(expected.content);
    expect(pieces.at(-1)!.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
  });

  test("is what the client's own helper puts together", async () => {
    const runner = client.chat.completions.stream(ask(SEEDS[1], 100));
    expect(await runner.finalContent()).toBe(ANSWERS.get(SEEDS[1])!.content);
  });

  test('may have contents in parts, several answers, and stops of its own', async () => {
    const parts = [{ type: 'text', text: 'naïve ' } as const, { type: 'text', text: '鯨?' } as const];
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      ...(MESSAGES as OpenAI.ChatCompletionMessageParam[]).slice(0, 3),
      { role: 'user', content: parts } as const,
    ];
    const { content } = ANSWERS.get(SEEDS[1])!;
    const stop = /[!-~]/.exec(content)![0];
    const two = await client.chat.completions.create({ ...ask(SEEDS[1], 100), messages, n: 2, stop });
    expect(two.choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(two.choices[0].message.content).toBe(content.slice(0, content.indexOf(stop)));
  });
});

describe('a chat that cannot be served', () => {
  test('by a model that has not learned chats is refused, and the way is named', async () => {
    const plain = await served(false);
    const refused = plain.chat.completions.create(ask(1, 5));
    await expect(refused).rejects.toThrow(
      '400 small was not trained on chats, so it would not answer; ask it to continue a text at /v1/completions',
    );
  });

  test.each([
    [{}, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'user' }] }, 'messages.0.content'],
    [{ messages: [{ role: 'a b', content: '' }] }, 'message 1 has the role "a b"'],
    [{ messages: [{ role: 'user', content: 'a\u0003b' }] }, 'holds the byte 0x03'],
    [{ messages: MESSAGES, tools: [{}] }, 'tools is not served in a chat'],
    [{ messages: MESSAGES, logprobs: true }, 'logprobs is not served in a chat'],
    [{ messages: MESSAGES, response_format: { type: 'json_object' } }, 'response_format is not served in a chat'],
    [{ messages: MESSAGES, prompt: 'x' }, 'prompt is for /v1/completions'],
    [{ messages: MESSAGES, max_tokens: 1501 }, 'max_tokens is 1501, this server makes at most 1500'],
    [{ messages: MESSAGES, max_completion_tokens: 1501 }, 'max_completion_tokens is 1501, this server makes at most'],
    [{ messages: MESSAGES, tool_choice: 'required' }, 'tool_choice is not served in a chat'],
    [{ messages: MESSAGES, function_call: { name: 'f' } }, 'function_call is not served in a chat'],
    [{ messages: MESSAGES, repetition_penalty: 1.2 }, 'repetition_penalty is not served; leave it out'],
    [{ messages: [{ role: 'user', content: 7 }] }, 'messages.0.content: must be a text, or a list of parts'],
    [{ messages: [{ role: 'user', content: 'a', name: 'Ann' }] }, 'messages.0.name is not served; leave it out'],
    [
      { messages: [...MESSAGES, { role: 'tool', content: 'a', tool_call_id: '1' }] },
      `messages.${MESSAGES.length}.tool_call_id is not served`,
    ],
    [{ messages: [{ role: 'assistant', content: 'a', tool_calls: [{}] }] }, 'messages.0.tool_calls is not served'],
    [
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'a', detail: 'low' }] }] },
      'messages.0.content.0.detail is not served',
    ],
    [{ messages: MESSAGES, top_logprobs: 2 }, 'top_logprobs is not served'],
    [{ messages: MESSAGES, functions: [{}] }, 'functions is not served; leave it out'],
    [{ messages: MESSAGES, audio: {} }, 'audio is not served; leave it out'],
    [{ messages: MESSAGES, reasoning_effort: 'low' }, 'reasoning_effort is not served; leave it out'],
  ])('%j', (body, message) => {
    expect(() => parseChatRequest(body, limits)).toThrow(message);
  });

  test('values that change nothing are taken', () => {
    const neutral = {
      logprobs: false,
      tools: [],
      response_format: { type: 'text' },
      top_logprobs: null,
      tool_choice: 'auto',
      parallel_tool_calls: true,
      metadata: { run: '1' },
      store: false,
      stream_options: { include_usage: true, include_obfuscation: false },
    };
    // As a client sends back what it was answered.
    const answered = { refusal: null, annotations: [], tool_calls: [], function_call: null };
    const messages = MESSAGES.map((message) => ({ ...message, ...answered }));
    const taken = parseChatRequest({ messages, ...neutral }, limits);
    expect(taken).toMatchObject({ maxBytes: 1500, logprobs: null, n: 1 });
  });
});
