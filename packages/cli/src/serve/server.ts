/** @file The server of `blt serve`: who may ask, what is read of a request, and which part of the API answers. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Checkpoint } from '@blt-ts/blt';
import { parseJson } from '../files/small-file.ts';
import { isOwnHost, LOOPBACK, listen, targetOf } from '../http/listen.ts';
import { UserError } from '../terminal/errors.ts';
import { type AnswerForm, CHAT_ANSWER, TEXT_ANSWER } from './answer-form.ts';
import { ApiError, errorBody, sendJson } from './api-error.ts';
import { parseChatRequest } from './chat-request.ts';
import { Completion } from './completion.ts';
import { type CompletionRequest, parseCompletionRequest, type RequestLimits } from './completion-request.ts';
import type { Lane } from './lane.ts';
import { Metrics } from './metrics.ts';
import { Scheduler } from './scheduler.ts';
import { parseScoreRequest, Scorer } from './score.ts';

/** Bytes of a request's body. */
const MOST_BODY_BYTES = 1024 * 1024;

/** The model that is served, the lanes that make its texts, and the limits of what they may ask. */
export interface ServeOptions {
  readonly checkpoint: Checkpoint;
  /** They make the texts. */
  readonly lanes: readonly Lane[];
  /** Name of the model in the API. */
  readonly model: string;
  /** The model was trained on chats. */
  readonly chats: boolean;
  readonly host: string;
  readonly port: number;
  /** null: everybody who reaches the server may ask. */
  readonly apiKey: string | null;
  /** Texts that may wait for a place. */
  readonly mostWaiting: number;
  readonly limits: RequestLimits;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

interface Route {
  readonly method: 'GET' | 'POST';
  /** Answered without a key. */
  readonly open?: boolean;
  readonly handle: Handler;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The JSON of a request. @throws ApiError if it is not JSON, too long, or cut off */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = request.headers['content-type'] ?? 'none';
  // A foreign page may send plain text to any address without asking first; JSON it may not.
  if (!/^application\/json\b/i.test(type)) {
    throw new ApiError(415, `Content-Type is ${type.slice(0, 100)}, it must be application/json`, null, CLOSE);
  }
  const tooLong = () =>
    new ApiError(413, `the body has more than ${MOST_BODY_BYTES} bytes, the most that is read`, null, CLOSE);
  if (Number(request.headers['content-length'] ?? 0) > MOST_BODY_BYTES) throw tooLong();
  const chunks: Buffer[] = [];
  let size = 0;
  // A request that is left in its middle would be destroyed, and its connection with it, before the answer goes out.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY_BYTES) throw tooLong();
    chunks.push(chunk);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ApiError(400, 'the body is not valid UTF-8, which JSON must be');
  }
  try {
    return parseJson(text, 'the body');
  } catch (error) {
    if (error instanceof UserError) throw new ApiError(400, error.message);
    throw error;
  }
}

/** For answers to requests whose body has not been read. */
const CLOSE = { Connection: 'close' };

/** The path of one model, behind which its name stands. */
const ONE_MODEL = '/v1/models/';

/** A path with the name of a model as it is, because clients escape different characters of it. One with broken escapes stays as sent. */
function withPlainName(path: string): string {
  if (!path.startsWith(ONE_MODEL)) return path;
  try {
    return ONE_MODEL + decodeURIComponent(path.slice(ONE_MODEL.length));
  } catch {
    return path;
  }
}

/** The parts of the API around one model. */
class Api {
  readonly metrics: Metrics;
  private readonly options: ServeOptions;
  private readonly scheduler: Scheduler;
  private readonly scorer: Scorer;
  private readonly routes: ReadonlyMap<string, Route>;
  private readonly created = Math.floor(Date.now() / 1000);

  constructor(options: ServeOptions) {
    this.options = options;
    const { lanes, mostWaiting, checkpoint } = options;
    this.scheduler = new Scheduler(lanes, mostWaiting);
    this.scorer = new Scorer(checkpoint);
    this.metrics = new Metrics(this.scheduler);
    const card = { id: options.model, object: 'model', created: this.created, owned_by: 'blt' };
    const get = (value: () => unknown, open = false): Route => ({
      method: 'GET',
      open,
      handle: (_, response) => sendJson(response, 200, value()),
    });
    this.routes = new Map<string, Route>([
      ['/health', get(() => ({ status: 'ok', model: options.model, ...this.scheduler.load }), true)],
      ['/v1/models', get(() => ({ object: 'list', data: [card] }))],
      [ONE_MODEL + options.model, get(() => card)],
      ['/metrics', { method: 'GET', handle: (_, response) => this.sendMetrics(response) }],
      ['/v1/completions', { method: 'POST', handle: (request, response) => this.complete(request, response) }],
      ['/v1/chat/completions', { method: 'POST', handle: (request, response) => this.chat(request, response) }],
      ['/v1/score', { method: 'POST', handle: (request, response) => this.score(request, response) }],
    ]);
  }

  /** Answers one request. @param port of this server */
  async answer(request: IncomingMessage, response: ServerResponse, port: number): Promise<void> {
    const target = targetOf(request);
    const path = withPlainName(target.path);
    const known = this.routes.has(path) ? path : 'other';
    response.on('finish', () => this.metrics.requests.inc({ path: known, status: String(response.statusCode) }));
    try {
      await this.routeOf(request, { host: target.host, path }, port).handle(request, response);
    } catch (error) {
      // The client went away while its request was read.
      if (request.destroyed && !request.complete) return void response.destroy();
      const refusal = error instanceof ApiError ? error : new ApiError(500, (error as Error).message);
      if (response.headersSent) response.destroy();
      else sendJson(response, refusal.status, errorBody(refusal), refusal.headers);
    }
  }

  /** @throws ApiError unless the request may be answered */
  private routeOf(request: IncomingMessage, { host, path }: ReturnType<typeof targetOf>, port: number): Route {
    const { apiKey } = this.options;
    if (this.options.host === LOOPBACK && !isOwnHost(host, port)) {
      throw new ApiError(421, `this server answers to http://${LOOPBACK}:${port}/ only`, null, CLOSE);
    }
    const route = this.routes.get(path);
    if (apiKey !== null && !route?.open) {
      const given = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      if (!timingSafeEqual(digest(given), digest(apiKey))) {
        throw new ApiError(401, 'the API key is missing or wrong; send Authorization: Bearer KEY', null, CLOSE);
      }
    }
    if (!route) throw new ApiError(404, `there is no ${path.slice(0, 100)} here`, null, CLOSE);
    // Node sends the head of an answer alone where the method is HEAD.
    const methods: readonly string[] = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
    if (!methods.includes(request.method!)) {
      throw new ApiError(405, `${path} takes ${methods.join(' and ')}, not ${request.method}`, null, {
        Allow: methods.join(', '),
        ...CLOSE,
      });
    }
    return route;
  }

  private checkModel(name: string | null): void {
    const { model } = this.options;
    if (name === null || name === model) return;
    throw new ApiError(
      404,
      `there is no model ${JSON.stringify(name.slice(0, 100))} here, this server has ${JSON.stringify(model)}`,
      'model',
    );
  }

  private async complete(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted = parseCompletionRequest(await readJson(request), this.options.limits);
    this.begin(wanted, response, TEXT_ANSWER);
  }

  private async chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    const { model, chats, limits } = this.options;
    if (!chats) {
      throw new ApiError(
        400,
        `${model} was not trained on chats, so it would not answer; ask it to continue a text at /v1/completions, or start the server with --chat if it was`,
        'messages',
      );
    }
    this.begin(parseChatRequest(body, limits), response, CHAT_ANSWER);
  }

  private begin(wanted: CompletionRequest, response: ServerResponse, form: AnswerForm): void {
    this.checkModel(wanted.model);
    if (response.destroyed) return;
    const { scheduler, metrics } = this;
    new Completion(wanted, response, { form, model: this.options.model, scheduler, metrics }).begin();
  }

  private async score(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { model, texts } = parseScoreRequest(await readJson(request));
    this.checkModel(model);
    const scores = await this.scorer.score(texts, () => !response.destroyed);
    if (!scores) return;
    const data = scores.map((score, index) => ({ object: 'score', index, ...score }));
    sendJson(response, 200, { object: 'list', model: this.options.model, data });
  }

  private async sendMetrics(response: ServerResponse): Promise<void> {
    const body = await this.metrics.registry.metrics();
    response.writeHead(200, { 'Content-Type': this.metrics.registry.contentType, 'Cache-Control': 'no-store' });
    response.end(body);
  }
}

/** Serves a model. @throws UserError if the port cannot be had */
export async function serveModel(options: ServeOptions): Promise<{ server: Server; port: number }> {
  const api = new Api(options);
  const { host, port } = options;
  const listening = await listen((request, response) => void api.answer(request, response, listening.port), {
    host,
    port,
    command: 'blt serve',
    maxConnections: 1024,
  });
  return listening;
}
