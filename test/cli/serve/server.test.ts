/** @file The server of `blt serve`: the official client, other clients beside it, and hostile ones. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { ContinuousBatch, encode, generate, nextByteLogits } from '@blt-ts/blt';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchLane, type Lane } from '../../../packages/cli/src/serve/lane.ts';
import { serveModel } from '../../../packages/cli/src/serve/server.ts';
import { servedModel as checkpoint } from '../../support/served-model.ts';

const KEY = 'a key';
const batch = new ContinuousBatch(checkpoint, { places: 4, promptBytes: 64 });
const lanes = [new BatchLane(batch, true)];
let url: string;
let port: number;
let close: () => void;
/** A server of a model of that name. */
async function serve(model: string, own: readonly Lane[]) {
  const limits = { maxBytes: 20_000, maxTexts: 16 };
  const options = { checkpoint, lanes: own, model, chats: false, host: '127.0.0.1', port: 0, apiKey: KEY, limits };
  const { server, port } = await serveModel({ ...options, mostWaiting: 12 });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { port, url: `http://127.0.0.1:${port}`, close };
}
beforeAll(async () => {
  ({ port, url, close } = await serve('small', lanes));
});
afterAll(() => close());

const client = () => new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });

/** The text that `blt generate` makes, as the server sends it. */
const alone = (prompt: string, maxBytes: number, seed: number, options = {}) =>
  new TextDecoder().decode(Uint8Array.from(generate(checkpoint, prompt, { maxBytes, seed, ...options })));

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

/** A raw request, with the key unless it is told otherwise. */
function ask(
  path: string,
  { method = 'GET', headers = {}, body = '' }: { method?: string; headers?: object; body?: string | Buffer } = {},
) {
  return new Promise<Answer>((resolve, reject) => {
    const all = { Authorization: `Bearer ${KEY}`, ...headers };
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers: all, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const post = (path: string, value: unknown, headers: object = {}) =>
  ask(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value),
  });

/** Figures of /metrics by name. */
async function metrics(): Promise<Map<string, number>> {
  const { body } = await ask('/metrics');
  return new Map(
    [...body.matchAll(/^(\w+(?:\{[^}]*\})?) ([-\d.e+]+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
}

/** Waits until nothing is made and nothing waits. */
async function quiet(): Promise<void> {
  for (;;) {
    const { active, waiting } = JSON.parse((await ask('/health')).body) as { active: number; waiting: number };
    if (active + waiting === 0) return;
    await new Promise((done) => setTimeout(done, 5));
  }
}

describe('the official client', () => {
  test('lists the model', async () => {
    const { data } = await client().models.list();
    expect(data.map(({ id }) => id)).toEqual(['small']);
    expect((await client().models.retrieve('small')).object).toBe('model');
  });

  test('finds the model whatever characters its name has, escaped or not', async () => {
    const name = "org/it's~a:b@c+d,e;f=g&h$i!(j)*% 鯨";
    const other = await serve(name, []);
    const { models } = new OpenAI({ baseURL: `${other.url}/v1`, apiKey: KEY, maxRetries: 0 });
    expect((await models.retrieve(name)).id).toBe(name);
    const status = async (path: string) =>
      (await fetch(`${other.url}/v1/models/${path}`, { headers: { Authorization: `Bearer ${KEY}` } })).status;
    expect(await status(encodeURIComponent(name))).toBe(200);
    expect(await status(encodeURIComponent(name).replaceAll('%2F', '/').replaceAll('%3A', ':'))).toBe(200);
    for (const wrong of ['small', '%', '%ff', encodeURIComponent(`${name}/`)]) expect(await status(wrong)).toBe(404);
    other.close();
  });

  test('gets the text of blt generate, whole and as a stream', async () => {
    const options = { model: 'small', prompt: 'abc def', max_tokens: 40, seed: 3 };
    const whole = await client().completions.create(options);
    expect(whole.choices[0].text).toBe(alone('abc def', 40, 3));
    expect(whole.usage).toMatchObject({ prompt_tokens: 7 });
    let text = '';
    let reason: string | null = null;
    let usage: unknown = null;
    const stream = { ...options, stream: true, stream_options: { include_usage: true } } as const;
    for await (const chunk of await client().completions.create(stream)) {
      text += chunk.choices[0]?.text ?? '';
      reason = chunk.choices[0]?.finish_reason ?? reason;
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0].text);
    expect(reason).toBe(whole.choices[0].finish_reason);
    expect(usage).toEqual(whole.usage);
  });

  test('asks for several texts of several prompts; a text depends on no other', async () => {
    const sampling = { max_tokens: 12, seed: 5, temperature: 0.7, top_p: 0.9 };
    const { choices } = await client().completions.create({
      model: 'small',
      prompt: ['one', 'two'],
      n: 3,
      ...sampling,
    });
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    const options = { temperature: 0.7, topP: 0.9 };
    expect(choices[0].text).toBe(alone('one', 12, 5, options));
    // The second prompt has the next seed, as the second line of a file has.
    expect(choices[3].text).toBe(alone('two', 12, 6, options));
    const two = await client().completions.create({ model: 'small', prompt: 'two', n: 2, ...sampling, seed: 6 });
    expect(two.choices.map(({ text }) => text)).toEqual([choices[3].text, choices[4].text]);
    expect(new Set(choices.map(({ text }) => text)).size).toBe(6);
  });

  test('gets different texts for equal prompts, and the same ones for the largest seed', async () => {
    const equal = { model: 'small', prompt: ['same', 'same', 'same'], max_tokens: 30 };
    const { choices } = await client().completions.create(equal);
    expect(new Set(choices.map(({ text }) => text)).size).toBe(3);
    const last = await client().completions.create({ ...equal, seed: 2 ** 32 - 1 });
    expect(last.choices[1].text).toBe(alone('same', 30, 0));
  });

  test('gets the lists of log-probabilities of an empty answer, and takes null for a prompt', async () => {
    const none = { model: 'small', prompt: null, max_tokens: 0, logprobs: 2 };
    const { choices, usage } = await client().completions.create(none);
    expect(choices[0]).toMatchObject({
      text: '',
      logprobs: { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] },
    });
    expect(usage).toMatchObject({ prompt_tokens: 0, completion_tokens: 0 });
  });

  test('gets log-probabilities of bytes', async () => {
    const { choices } = await client().completions.create({
      model: 'small',
      prompt: 'x',
      max_tokens: 6,
      seed: 1,
      logprobs: 2,
      temperature: 0,
    });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs!;
    expect(tokens).toHaveLength(6);
    expect(text_offset).toHaveLength(6);
    token_logprobs!.forEach((logprob, i) => {
      expect(Math.exp(logprob)).toBeGreaterThan(1 / 260);
      // Greedy: the byte is the likeliest.
      expect(Object.keys(top_logprobs![i])[0]).toBe(tokens![i]);
      expect(Object.values(top_logprobs![i])[0]).toBe(logprob);
    });
  });

  test('stops before a stop text, and echoes the prompt', async () => {
    const options = { model: 'small', prompt: 'stop', max_tokens: 60, seed: 2 };
    const free = (await client().completions.create(options)).choices[0];
    const stop = /[ -~]{2}/.exec(free.text)![0];
    const cut = (await client().completions.create({ ...options, stop: ['not there', stop], echo: true })).choices[0];
    expect(cut.text).toBe(`stop${free.text.slice(0, free.text.indexOf(stop))}`);
    expect(cut.finish_reason).toBe('stop');
  });

  test('reads the errors', async () => {
    const { completions } = client();
    const bad = completions.create({ model: 'small', prompt: 'a', temperature: -1 });
    await expect(bad).rejects.toMatchObject({ status: 400, param: 'temperature' });
    await expect(completions.create({ model: 'gpt-5', prompt: 'a' })).rejects.toMatchObject({
      status: 404,
      param: 'model',
    });
    const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({ status: 401 });
  });
});

describe('many clients', () => {
  test('each gets its own text, whoever else is there', async () => {
    const texts = await Promise.all(
      Array.from({ length: 14 }, async (_, i) => {
        const { choices } = await client().completions.create({
          model: 'small',
          prompt: `text ${i}`.repeat(1 + (i % 3)),
          max_tokens: 5 + i,
          seed: i,
        });
        return choices[0].text;
      }),
    );
    for (const [i, text] of texts.entries()) {
      expect(text).toBe(alone(`text ${i}`.repeat(1 + (i % 3)), 5 + i, i));
    }
  });

  test('who goes away leaves the place to others', async () => {
    const before = await metrics();
    const controller = new AbortController();
    const stream = await client().completions.create(
      {
        model: 'small',
        prompt: 'gone',
        max_tokens: 20_000,
        stream: true,
        n: 4,
        ignore_eos: true,
      } as OpenAI.CompletionCreateParamsStreaming,
      { signal: controller.signal },
    );
    for await (const _ of stream) break;
    controller.abort();
    await quiet();
    const after = await metrics();
    expect(after.get('blt_cancelled_total')! - before.get('blt_cancelled_total')!).toBe(1);
    expect(after.get('blt_generated_bytes_total')! - before.get('blt_generated_bytes_total')!).toBeLessThan(40_000);
    expect(batch.free).toBe(4);
  });

  test('more than the queue takes are told to come again, and nothing of theirs is made', async () => {
    const many = { prompt: 'queue', max_tokens: 200, n: 16, ignore_eos: true, seed: 1 };
    const [first, second] = await Promise.all([post('/v1/completions', many), post('/v1/completions', many)]);
    expect([first.status, second.status].sort()).toEqual([200, 429]);
    const refused = first.status === 429 ? first : second;
    expect(refused.headers['retry-after']).toBe('1');
    expect(JSON.parse(refused.body).error).toMatchObject({ type: 'rate_limit_error' });
  });

  test('a client that does not read costs the others nothing', async () => {
    const body = JSON.stringify({ prompt: 'slow', max_tokens: 3000, stream: true, ignore_eos: true });
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.pause();
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const { status } = await post('/v1/completions', { prompt: 'quick', max_tokens: 5 });
    expect(status).toBe(200);
    socket.destroy();
    await quiet();
    expect(batch.free).toBe(4);
  });
});

test('/v1/score gives the bits of texts: minus the logarithm of each byte given those before it', async () => {
  const texts = ['abc', '', 'Wörter und wörter'.repeat(2)];
  const { status, body } = await post('/v1/score', { input: texts });
  expect(status).toBe(200);
  const { data } = JSON.parse(body) as { data: { bytes: number; bits: number; bits_per_byte: number | null }[] };
  expect(data[1]).toMatchObject({ bits: 0, bits_per_byte: null });
  for (const [i, text] of texts.entries()) {
    let nats = 0;
    const ids = encode(text, { bos: true, eos: false });
    for (let at = 1; at < ids.length; at++) {
      const logits = nextByteLogits(checkpoint, ids.slice(0, at));
      nats += Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0)) - logits[ids[at]];
    }
    expect(data[i].bytes).toBe(Buffer.byteLength(text));
    expect(data[i].bits).toBeCloseTo(nats / Math.LN2, 4);
  }
});

test('/v1/score gives a text the same bits alone and among others, and refuses what is too much or not read', async () => {
  const scores = async (input: unknown) => JSON.parse((await post('/v1/score', { input })).body).data;
  const texts = Array.from({ length: 1024 }, (_, i) => (i % 3 === 0 ? `text ${i}` : ''));
  const [all, few] = [await scores(texts), await scores([texts[3], '', texts[9]])];
  expect(all).toHaveLength(1024);
  expect(few).toEqual([all[3], { ...all[1], index: 1 }, { ...all[9], index: 2 }].map((s, i) => ({ ...s, index: i })));
  expect(all[4]).toEqual({ object: 'score', index: 4, bytes: 0, bits: 0, bits_per_byte: null, patches: 0 });
  expect(await scores(['', ''])).toHaveLength(2);
  const refused = async (body: object) => {
    const { status, body: text } = await post('/v1/score', body);
    return { status, message: JSON.parse(text).error.message };
  };
  expect(await refused({ input: [...texts, ''] })).toEqual({
    status: 400,
    message: 'input has 1025 texts, one request may have 1024; send it in parts',
  });
  expect((await refused({ input: 'a'.repeat(70_000) })).status).toBe(400);
  expect((await refused({ input: 'a', memory: true })).message).toBe('memory is not served; leave it out');
});

test('half of a surrogate pair is nothing, as for blt generate', async () => {
  const [half, whole] = ['ab\ud83dcd', 'abcd'];
  const made = async (prompt: unknown, stop?: string) => {
    const { choices } = JSON.parse((await post('/v1/completions', { prompt, stop, max_tokens: 20, seed: 1 })).body);
    return choices[0].text;
  };
  const text = alone(whole, 20, 1);
  expect([await made(half), await made([half])]).toEqual([text, text]);
  const stop = /[ -~]/.exec(text)![0];
  expect(await made(whole, `\udc00${stop}`)).toBe(text.slice(0, text.indexOf(stop)));
  const { body } = await post('/v1/score', { input: [half, whole] });
  const { data } = JSON.parse(body);
  expect(data[0]).toEqual({ ...data[1], index: 0 });
});

describe('hostile clients', () => {
  const refused = [
    ['not JSON', '{"prompt": ', 400],
    ['deep nesting', `${'['.repeat(500_000)}`, 400],
    ['a list', '[]', 400],
    ['no whole number', { prompt: 'a', max_tokens: 1.5 }, 400],
    ['too much', { prompt: 'a', max_tokens: 20_001 }, 400],
    ['too many', { prompt: 'a', n: 17 }, 400],
    ['an empty stop text', { prompt: 'a', stop: '' }, 400],
    ['a prompt of no bytes', { prompt: [1, 256] }, 400],
    ['a field that is not served', { prompt: 'a', suffix: 'b' }, 400],
    ['__proto__', '{"__proto__": {"stream": true}, "prompt": 7}', 400],
    ['a penalty of another server', { prompt: 'a', repetition_penalty: 1.1 }, 400],
    ['a bound of chats', { prompt: 'a', max_completion_tokens: 5 }, 400],
    ['a choice of tools', { prompt: 'a', tool_choice: 'auto' }, 400],
    ['what is no UTF-8', Buffer.from('{"prompt": "caf\xe9"}', 'latin1'), 400],
    ['a body that is too long', { prompt: 'a'.repeat(1_100_000) }, 413],
  ] as const;
  test.each(refused)('%s is refused in one sentence', async (_, value, status) => {
    const answer = await post('/v1/completions', value);
    expect(answer.status).toBe(status);
    const { message } = JSON.parse(answer.body).error as { message: string };
    expect(message.length).toBeLessThan(300);
    expect(message).not.toMatch(/\n|at .*:\d+/);
  });

  test.each([
    [{ repetition_penalty: 1.1 }, 'repetition_penalty', 'repetition_penalty is not served; leave it out'],
    [{ max_completion_tokens: 5 }, 'max_completion_tokens', /is for \/v1\/chat\/completions; give max_tokens/],
    [{ max_token: 5 }, 'max_token', /^max_token is not served; leave it out, or give max_tokens if that was meant$/],
    [{ min_tokens: 5 }, 'min_tokens', /^min_tokens is not served; leave it out$/],
    [{ guided_regex: 'a*' }, 'guided_regex', /^guided_regex is not served; leave it out$/],
    [{ repeat_penalty: 1 }, 'repeat_penalty', 'repeat_penalty is not served'],
    [{ bad_words: ['a'] }, 'bad_words', 'bad_words is not served'],
    [{ include_stop_str_in_output: true }, 'include_stop_str_in_output', 'is not served'],
    [{ prompt_logprobs: 0 }, 'prompt_logprobs', 'is not served'],
    [
      { stream_options: { continuous_usage_stats: true } },
      'stream_options.continuous_usage_stats',
      'stream_options.continuous_usage_stats is not served; leave it out',
    ],
    [{ stop: ['a', '\ud83d'] }, 'stop', 'stop is half of a surrogate pair, which is no text; leave it out'],
    [{ prompt: 7 }, 'prompt', 'prompt: must be a text, a list of texts, or the same as lists of bytes from 0 to 255'],
    [{ stop: 7 }, 'stop', 'stop: must be a text of 1 to 256 characters, or a list of at most 4 of them'],
  ])('%j is refused with the name of the field and what is allowed', async (value, param, message) => {
    const { error } = JSON.parse((await post('/v1/completions', value)).body);
    expect(error).toMatchObject({ param, message: expect.stringMatching(message) });
  });

  test('values that change nothing are taken, null among them', async () => {
    const neutral = { repetition_penalty: 1, min_tokens: 0, tools: null, presence_penalty: 0, best_of: 1, user: 'me' };
    Object.assign(neutral, {
      bad_words: [],
      include_stop_str_in_output: false,
      guided_regex: null,
      service_tier: 'auto',
    });
    expect((await post('/v1/completions', { prompt: 'a', max_tokens: 1, ...neutral })).status).toBe(200);
  });

  test('paths, methods, types, hosts and keys that are not served', async () => {
    const status = async (path: string, options: Parameters<typeof ask>[1]) => (await ask(path, options)).status;
    expect(await status('/v1/../health', {})).toBe(404);
    expect(await status('/v1/completions', {})).toBe(405);
    expect(await status('/v1/models', { method: 'OPTIONS' })).toBe(405);
    expect(
      await status('/v1/completions', { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: '{}' }),
    ).toBe(415);
    expect(await status('/v1/models', { headers: { Host: 'evil.example' } })).toBe(421);
    for (const Authorization of ['', 'Bearer', 'Bearer a  key', `Basic ${KEY}`]) {
      expect(await status('/metrics', { headers: { Authorization } })).toBe(401);
    }
    expect(await status('/health', { headers: { Authorization: '' } })).toBe(200);
    expect((await ask('/v1/models', { method: 'POST' })).headers.allow).toBe('GET, HEAD');
  });

  test('HEAD is answered like GET without the body, and a target may have a host, which counts then', async () => {
    const { status, headers, body } = await ask('/v1/models', { method: 'HEAD' });
    expect({ status, body }).toEqual({ status: 200, body: '' });
    expect(headers['content-length']).toBe(String((await ask('/v1/models')).body.length));
    const whole = (host: string, path: string, headers = {}) => ask(`http://${host}${path}`, { headers });
    const own = `localhost:${port}`;
    expect((await whole(own, '/v1/models?a', { Host: 'evil.example' })).status).toBe(200);
    expect((await whole(own, '')).status).toBe(404);
    expect((await whole('evil.example', '/v1/models')).status).toBe(421);
  });

  test('a body of unknown length is answered where too much has come; what is no HTTP is refused', async () => {
    const chunked = await ask('/v1/completions', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' },
      body: 'a'.repeat(1_200_000),
    });
    expect({ status: chunked.status, connection: chunked.headers.connection }).toEqual({
      status: 413,
      connection: 'close',
    });
    expect(JSON.parse(chunked.body).error.message).toBe('the body has more than 1048576 bytes, the most that is read');
    const socket = connect(port, '127.0.0.1');
    socket.end('GARBAGE\r\n\r\n');
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toContain('400');
    expect(JSON.parse((await ask('/health')).body)).toMatchObject({ status: 'ok', active: 0, waiting: 0 });
  });
});
