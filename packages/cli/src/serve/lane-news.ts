/** @file News of the texts of a lane in another thread: bytes and ends of some rounds in one message. */
import type { EndReason, Job } from './lane.ts';
import type { ByteLogprob } from './logprobs.ts';

/** A message from the thread of a lane. */
export interface LaneNews {
  /** Pairs: the number of a text, and a byte of it or one of the codes below. */
  readonly events: Int32Array;
  /** One for each byte that has `LOGPROB` on top. */
  readonly logprobs: readonly ByteLogprob[];
  /** One for each `FAILED`. */
  readonly failures: readonly string[];
  /** Rounds and bytes of the lane so far. */
  readonly rounds: number;
  readonly bytes: number;
}

/** Codes beside the bytes 0 .. 255. */
const STOP = 256;
const LENGTH = 257;
const FAILED = 258;
const LOGPROB = 512;

/** Milliseconds between two messages. The first byte of a text, and its end, are told at once. */
const NEWS_INTERVAL = 4;

/** Collects the news of a lane. */
export class NewsWriter {
  private events: number[] = [];
  private logprobs: ByteLogprob[] = [];
  private failures: string[] = [];
  private urgent = false;
  private last = 0;

  /** A byte. @param first of its text */
  byte(text: number, entry: ByteLogprob, withLogprob: boolean, first: boolean): void {
    this.events.push(text, withLogprob ? entry.byte + LOGPROB : entry.byte);
    if (withLogprob) this.logprobs.push(entry);
    if (first) this.urgent = true;
  }

  end(text: number, reason: EndReason): void {
    this.events.push(text, reason === 'stop' ? STOP : LENGTH);
    this.urgent = true;
  }

  failure(text: number, { message }: Error): void {
    this.events.push(text, FAILED);
    this.failures.push(message);
    this.urgent = true;
  }

  /** The news since the last ones; null if they may wait. @param now milliseconds */
  take(now: number, { rounds, bytes }: { rounds: number; bytes: number }): LaneNews | null {
    if (this.events.length === 0 || (!this.urgent && now - this.last < NEWS_INTERVAL)) return null;
    const { logprobs, failures } = this;
    const news = { events: Int32Array.from(this.events), logprobs, failures, rounds, bytes };
    [this.events, this.logprobs, this.failures, this.urgent, this.last] = [[], [], [], false, now];
    return news;
  }
}

/**
 * Tells the jobs their news. A job is out of `jobs` before it hears of its end.
 * @param unwanted is called with the number of a text of which no more is wanted
 */
export function tellNews(news: LaneNews, jobs: Map<number, Job>, unwanted: (text: number) => void): void {
  const { events } = news;
  let [logprob, failure] = [0, 0];
  for (let i = 0; i < events.length; i += 2) {
    const [text, code] = [events[i], events[i + 1]];
    const entry = code >= LOGPROB ? news.logprobs[logprob++] : { byte: code, logprob: 0, top: {} };
    const message = code === FAILED ? news.failures[failure++] : '';
    const job = jobs.get(text);
    if (!job) continue;
    if (code < STOP || code >= LOGPROB) {
      if (!job.onByte(entry)) unwanted(text);
      continue;
    }
    jobs.delete(text);
    if (code === FAILED) job.onError(new Error(message));
    else job.onEnd(code === STOP ? 'stop' : 'length');
  }
}
