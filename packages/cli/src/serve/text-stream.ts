/** @file The bytes of one answer as text: stop texts cut off, characters whole, and a place in the text for every byte. */
import { BYTE_OFFSET } from '@blt-ts/blt';
import { type ByteLogprob, type Logprobs, tokenName } from './logprobs.ts';
import { StopSearch } from './stop-search.ts';

/** A piece of an answer. */
export interface TextPiece {
  readonly text: string;
  /** null unless they were asked for. */
  readonly logprobs: Logprobs | null;
}

/**
 * Turns bytes into text that may be sent at any time: a character comes when its last byte has come, and bytes that are no UTF-8 become
 * U+FFFD. All pieces together are the text of all bytes.
 */
export class TextStream {
  /** Bytes of the text so far, stop texts not counted. */
  bytes = 0;
  private readonly search: StopSearch;
  private readonly withLogprobs: boolean;
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private held: ByteLogprob[] = [];
  private text = '';
  private characters = 0;
  private logprobs = emptyLogprobs();

  constructor(stops: readonly Uint8Array[], withLogprobs: boolean) {
    this.search = new StopSearch(stops);
    this.withLogprobs = withLogprobs;
  }

  /** One more byte. @returns whether it completes a stop text, after which nothing may follow */
  push(entry: ByteLogprob): boolean {
    this.held.push(entry);
    const { free, stopped } = this.search.push(entry.byte);
    this.release(free);
    if (stopped) this.finish();
    return stopped;
  }

  /** The text has ended without a stop text. */
  end(): void {
    this.release(this.search.end());
    this.finish();
  }

  /** The piece that has come since the last call; null if there is none. */
  take(): TextPiece | null {
    const { text, logprobs } = this;
    return text === '' && logprobs.tokens.length === 0 ? null : this.takeAll();
  }

  /** The same, also if it is empty. */
  takeAll(): TextPiece {
    const { text, logprobs } = this;
    this.text = '';
    this.logprobs = emptyLogprobs();
    return { text, logprobs: this.withLogprobs ? logprobs : null };
  }

  private finish(): void {
    this.held = [];
    this.text += this.decoder.decode();
  }

  private release(count: number): void {
    this.bytes += count;
    for (const { byte, logprob, top } of this.held.splice(0, count)) {
      const text = this.decoder.decode(Uint8Array.of(byte), { stream: true });
      const made = [...text].length;
      // The last character that a byte makes is its own, unless the byte begins another one. What comes before is of bytes that are no UTF-8.
      const before = made === 0 || isLead(byte) ? made : made - 1;
      if (this.withLogprobs) {
        this.logprobs.tokens.push(tokenName(byte + BYTE_OFFSET));
        this.logprobs.token_logprobs.push(logprob);
        this.logprobs.top_logprobs.push(top);
        this.logprobs.text_offset.push(this.characters + before);
      }
      this.text += text;
      this.characters += made;
    }
  }
}

/** Whether a byte begins a character of several bytes. */
const isLead = (byte: number): boolean => byte >= 0xc2 && byte <= 0xf4;

const emptyLogprobs = (): Logprobs => ({ tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] });
