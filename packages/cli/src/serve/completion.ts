/** @file One request for completions, from its texts in the scheduler to the answer, whole or as a stream of events. */
import { randomBytes, randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { counted } from '../terminal/human-units.ts';
import type { AnswerForm } from './answer-form.ts';
import { ApiError, errorBody, sendJson } from './api-error.ts';
import type { CompletionRequest } from './completion-request.ts';
import type { EndReason, Job } from './lane.ts';
import type { ByteLogprob, Logprobs } from './logprobs.ts';
import type { Metrics } from './metrics.ts';
import type { Scheduler } from './scheduler.ts';
import { destroyIfStalled, waitForever } from './slow-reader.ts';
import { TextStream } from './text-stream.ts';

/** Milliseconds between two events of a stream. The first byte of a text is sent at once. */
const EVENT_INTERVAL = 20;

interface Choice {
  readonly index: number;
  readonly job: Job;
  readonly text: TextStream;
  /** Text before the made bytes: the prompt, if it is to be echoed. */
  echo: string;
  finish: EndReason | null;
  /** Something of it has been sent. */
  begun: boolean;
}

/** Numbers of a seed, which the API allows to be negative and large: its lowest 32 bits. */
const seed32 = (seed: number | null): number =>
  seed === null ? randomInt(2 ** 32) : Number(BigInt.asUintN(32, BigInt(seed)));

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The texts of one request, and what has been sent of them. */
export class Completion {
  private readonly request: CompletionRequest;
  private readonly form: AnswerForm;
  private readonly scheduler: Scheduler;
  private readonly metrics: Metrics;
  private readonly response: ServerResponse;
  private readonly head: {
    readonly id: string;
    readonly created: number;
    readonly model: string;
    readonly seed: number;
  };
  private readonly choices: readonly Choice[];
  private readonly started = performance.now();
  private open: number;
  private firstByteSeen = false;
  private over = false;
  private timer: NodeJS.Timeout | null = null;
  /** The client does not read, so nothing more is written until it does. */
  private heldBack = false;

  /** @param model name for the answer */
  constructor(
    request: CompletionRequest,
    response: ServerResponse,
    { form, model, scheduler, metrics }: { form: AnswerForm; model: string; scheduler: Scheduler; metrics: Metrics },
  ) {
    this.request = request;
    this.form = form;
    this.response = response;
    this.scheduler = scheduler;
    this.metrics = metrics;
    const id = `${form.idPrefix}-${randomBytes(12).toString('hex')}`;
    this.head = { id, created: Math.floor(Date.now() / 1000), model, seed: seed32(request.seed) };
    this.choices = request.prompts.flatMap((prompt, p) =>
      Array.from({ length: request.n }, (_, j) => this.choice(prompt, p, j)),
    );
    this.open = this.choices.length;
  }

  /** Hands the texts to the scheduler. @throws ApiError 429 if they are too many for now */
  begin(): void {
    const { scheduler, response, request } = this;
    if (!scheduler.accepts(this.choices.length)) {
      const { active, waiting } = scheduler.load;
      throw new ApiError(
        429,
        `${counted(active, 'text is', 'texts are')} being made and ${counted(waiting, 'waits', 'wait')}, there is no room for ${this.choices.length} more; try again later`,
        null,
        { 'Retry-After': '1' },
      );
    }
    response.on('close', () => this.clientLeft());
    this.metrics.promptBytes.inc(this.promptBytes);
    if (request.stream) {
      response.writeHead(200, {
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
      });
    }
    for (const { job } of this.choices) scheduler.submit(job);
  }

  private get promptBytes(): number {
    return this.request.prompts.reduce((n, { length }) => n + length, 0);
  }

  /** @param p number of the prompt, which is added to the seed so that equal prompts get texts of their own */
  private choice(prompt: Uint8Array, p: number, stream: number): Choice {
    const { request } = this;
    const seed = (this.head.seed + p) % 2 ** 32;
    const { maxBytes, temperature, topP, topK, minP, ignoreEos } = request;
    const job: Job = {
      prompt,
      options: { maxBytes, temperature, topP, topK, minP, ignoreEos, seed },
      stream,
      logprobs: request.logprobs,
      onByte: (entry) => this.onByte(choice, entry),
      onEnd: (reason) => {
        choice.text.end();
        this.onEnd(choice, reason);
      },
      onError: (error) => this.fail(error),
    };
    const text = new TextStream(request.stops, request.logprobs !== null);
    const choice: Choice = {
      index: p * request.n + stream,
      job,
      text,
      echo: request.echo ? utf8.decode(prompt) : '',
      finish: null,
      begun: false,
    };
    return choice;
  }

  private onByte(choice: Choice, entry: ByteLogprob): boolean {
    if (!this.firstByteSeen) {
      this.firstByteSeen = true;
      this.metrics.firstByte.observe((performance.now() - this.started) / 1000);
    }
    const stopped = choice.text.push(entry);
    if (stopped) this.onEnd(choice, 'stop');
    else if (this.request.stream) this.flushSoon(choice);
    return !stopped;
  }

  private onEnd(choice: Choice, reason: EndReason): void {
    choice.finish = reason;
    this.open--;
    if (this.open > 0) {
      if (this.request.stream) this.flushSoon(choice);
      return;
    }
    this.over = true;
    if (this.timer) clearTimeout(this.timer);
    this.metrics.duration.observe((performance.now() - this.started) / 1000);
    if (this.request.stream) this.endStream();
    else this.sendWhole();
    destroyIfStalled(this.response);
  }

  private get usage() {
    const made = this.choices.reduce((n, { text }) => n + text.bytes, 0);
    const { promptBytes } = this;
    return { prompt_tokens: promptBytes, completion_tokens: made, total_tokens: promptBytes + made };
  }

  private sendWhole(): void {
    const choices = this.choices.map(({ index, text, echo, finish }) => {
      const piece = text.takeAll();
      return this.form.choice({ index, text: echo + piece.text, logprobs: piece.logprobs, finish });
    });
    sendJson(this.response, 200, { object: this.form.object, ...this.head, choices, usage: this.usage });
  }

  private event(value: unknown): void {
    this.response.write(`data: ${JSON.stringify(value)}\n\n`);
  }

  private chunk(choice: Choice, text: string, logprobs: Logprobs | null, finish: EndReason | null): void {
    const usage = this.request.includeUsage ? { usage: null } : {};
    const choices = [this.form.piece({ index: choice.index, text, logprobs, finish }, !choice.begun)];
    choice.begun = true;
    this.event({ object: this.form.pieceObject, ...this.head, choices, ...usage });
  }

  /** Sends the first byte of a text now, and others with those of the next milliseconds. */
  private flushSoon(choice: Choice): void {
    if (!choice.begun) this.flush(choice);
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.over) return;
      // Whoever does not read gets no more until he does. What is held back is text alone, at most `max_tokens` bytes of it.
      if (this.response.writableNeedDrain) this.holdBack();
      else this.flushAll();
    }, EVENT_INTERVAL);
  }

  private holdBack(): void {
    if (this.heldBack) return;
    this.heldBack = true;
    destroyIfStalled(this.response);
    this.response.once('drain', () => {
      this.heldBack = false;
      if (this.over) return;
      waitForever(this.response);
      this.flushAll();
    });
  }

  private flushAll(): void {
    if (!this.over) for (const choice of this.choices) this.flush(choice);
  }

  private flush(choice: Choice): void {
    const piece = choice.text.take();
    if (!piece && choice.echo === '') return;
    this.chunk(choice, choice.echo + (piece?.text ?? ''), piece?.logprobs ?? null, null);
    choice.echo = '';
  }

  private endStream(): void {
    for (const choice of this.choices) {
      this.flush(choice);
      this.chunk(choice, '', null, choice.finish);
    }
    if (this.request.includeUsage)
      this.event({ object: this.form.pieceObject, ...this.head, choices: [], usage: this.usage });
    this.response.end('data: [DONE]\n\n');
  }

  /** Ends the texts of a client that has gone away. */
  private clientLeft(): void {
    if (this.timer) clearTimeout(this.timer);
    if (this.over) return;
    this.over = true;
    this.metrics.cancelled.inc();
    for (const { job } of this.choices) this.scheduler.cancel(job);
  }

  private fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    if (this.timer) clearTimeout(this.timer);
    for (const { job } of this.choices) this.scheduler.cancel(job);
    const refusal = new ApiError(500, error.message);
    if (this.response.headersSent) {
      this.event(errorBody(refusal));
      this.response.end();
    } else sendJson(this.response, 500, errorBody(refusal));
  }
}
