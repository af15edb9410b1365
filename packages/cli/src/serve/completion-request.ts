/** @file The body of `POST /v1/completions`: the fields of OpenAI's API, each taken, or refused by name. */
import * as z from 'zod';
import { counted } from '../terminal/human-units.ts';
import { ApiError } from './api-error.ts';
import { bytesOf } from './text-bytes.ts';
import { isEmptyList, refuseUnknown } from './unknown-fields.ts';

/** Bounds of what one request may ask for. */
export interface RequestLimits {
  /** Bytes of one answer. */
  readonly maxBytes: number;
  /** Answers of one request: prompts times `n`. */
  readonly maxTexts: number;
}

const byteList = z.array(z.int().min(0).max(255));
const text = z.string();
const stopText = z.string().min(1).max(256);

const schema = z.looseObject({
  model: text.nullish(),
  prompt: z
    .union([text, z.array(text).min(1), byteList, z.array(byteList).min(1)], {
      error: 'must be a text, a list of texts, or the same as lists of bytes from 0 to 255',
    })
    .nullish(),
  max_tokens: z.int().min(0).nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  n: z.int().min(1).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  logprobs: z.int().min(0).max(5).nullish(),
  echo: z.boolean().nullish(),
  stop: z
    .union([stopText, z.array(stopText).max(4)], {
      error: 'must be a text of 1 to 256 characters, or a list of at most 4 of them',
    })
    .nullish(),
  seed: z.int().nullish(),
  ignore_eos: z.boolean().nullish(),
  best_of: z.int().nullish(),
  suffix: text.nullish(),
  presence_penalty: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  logit_bias: z.record(text, z.number()).nullish(),
});

/** A request for completions, checked. */
export interface CompletionRequest {
  readonly model: string | null;
  readonly prompts: readonly Uint8Array[];
  readonly n: number;
  readonly maxBytes: number;
  readonly temperature: number;
  readonly topP: number | null;
  readonly topK: number | null;
  readonly minP: number | null;
  /** null: any. */
  readonly seed: number | null;
  readonly stops: readonly Uint8Array[];
  readonly ignoreEos: boolean;
  readonly echo: boolean;
  /** How many of the likeliest bytes are told of each place; null: no log-probabilities. */
  readonly logprobs: number | null;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

type Body = z.infer<typeof schema>;

const isFalse = (value: unknown): boolean => value === false;

/** Fields of this API and of servers like it that are not served, and the values of them that change nothing. */
const UNSERVED: Readonly<Record<string, (value: unknown, body: Body) => boolean>> = {
  best_of: (value, { n }) => value === (n ?? 1),
  suffix: (value) => value === '',
  presence_penalty: (value) => value === 0,
  frequency_penalty: (value) => value === 0,
  repetition_penalty: (value) => value === 1,
  length_penalty: (value) => value === 1,
  typical_p: (value) => value === 1,
  min_tokens: (value) => value === 0,
  use_beam_search: isFalse,
  include_stop_str_in_output: isFalse,
  logit_bias: (value) => Object.keys(value as object).length === 0,
  stop_token_ids: isEmptyList,
  bad_words: isEmptyList,
};

/** Fields that only a chat has. */
const OF_CHATS: Readonly<Record<string, string>> = {
  messages: 'messages is for /v1/chat/completions; a text has a prompt',
  max_completion_tokens: 'max_completion_tokens is for /v1/chat/completions; give max_tokens',
};

const SERVED = Object.keys(schema.shape).filter((name) => !Object.hasOwn(UNSERVED, name));

/** @throws ApiError naming a field that would be ignored */
function refuseUnserved(body: Body): void {
  for (const [name, isNeutral] of Object.entries(UNSERVED)) {
    const given = body[name];
    if (given != null && !isNeutral(given, body)) throw new ApiError(400, `${name} is not served; leave it out`, name);
  }
  for (const [name, message] of Object.entries(OF_CHATS)) {
    if (body[name] != null) throw new ApiError(400, message, name);
  }
  const others = Object.entries(body).filter(([name]) => !Object.hasOwn(UNSERVED, name));
  refuseUnknown(Object.fromEntries(others), SERVED);
  refuseUnknown(body.stream_options ?? {}, ['include_usage', 'include_obfuscation'], 'stream_options.');
}

/** The first thing that a schema found wrong, as a refusal. */
export function refusal({ issues: [issue] }: z.ZodError): ApiError {
  const param = issue.path.join('.');
  return new ApiError(
    400,
    param === '' ? `the body is not as expected: ${issue.message}` : `${param}: ${issue.message}`,
    param,
  );
}

function promptsOf(prompt: NonNullable<Body['prompt']>): Uint8Array[] {
  if (typeof prompt === 'string') return [bytesOf(prompt)];
  if (prompt.length === 0) return [new Uint8Array()];
  if (typeof prompt[0] === 'number') return [Uint8Array.from(prompt as number[])];
  return (prompt as (string | number[])[]).map((one) =>
    typeof one === 'string' ? bytesOf(one) : Uint8Array.from(one),
  );
}

function stopsOf(stop: Body['stop']): Uint8Array[] {
  return [stop ?? []].flat().map((one) => {
    const bytes = bytesOf(one);
    if (bytes.length > 0) return bytes;
    throw new ApiError(400, 'stop is half of a surrogate pair, which is no text; leave it out', 'stop');
  });
}

/**
 * @param most name of the field that bounds the answer
 * @throws ApiError naming the field, its value and what is allowed
 */
export function parseCompletionRequest(value: unknown, limits: RequestLimits, most = 'max_tokens'): CompletionRequest {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refusal(parsed.error);
  const body = parsed.data;
  refuseUnserved(body);
  const prompts = promptsOf(body.prompt ?? '');
  const [n, maxBytes] = [body.n ?? 1, body.max_tokens ?? 16];
  if (maxBytes > limits.maxBytes) {
    throw new ApiError(400, `${most} is ${maxBytes}, this server makes at most ${limits.maxBytes} (--max-bytes)`, most);
  }
  if (prompts.length * n > limits.maxTexts) {
    throw new ApiError(
      400,
      `${counted(prompts.length, 'prompt')} with n ${n}: ${counted(prompts.length * n, 'text')}, one request may ask for ${limits.maxTexts}`,
      'n',
    );
  }
  if (body.echo && body.logprobs != null) {
    throw new ApiError(400, 'echo with logprobs is not served; POST /v1/score gives the bits of a text', 'echo');
  }
  return {
    model: body.model ?? null,
    prompts,
    n,
    maxBytes,
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? null,
    topK: body.top_k ?? null,
    minP: body.min_p ?? null,
    seed: body.seed ?? null,
    stops: stopsOf(body.stop),
    ignoreEos: body.ignore_eos ?? false,
    echo: body.echo ?? false,
    logprobs: body.logprobs ?? null,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}
