/** @file A text while it is made: its ids so far, and where it ends. */
import { BYTE_OFFSET, EOS, encode } from '../patching/vocabulary.ts';
import { Sampler, type SamplerOptions, stopsAfter } from './sampler.ts';

/** How a text is drawn, and where it ends. */
export interface TextOptions extends SamplerOptions {
  readonly maxBytes: number;
  /** Ends when the text generated so far ends with these bytes; they are part of the output. */
  readonly stop?: Uint8Array | null;
}

/** A prompt and the bytes that continue it, each drawn with the random numbers of the text's own stream. */
export class GrowingText {
  /** BOS, the prompt and the bytes made, without those that were forgotten. */
  ids: number[];
  /** Bytes made. */
  made = 0;
  private readonly sampler: Sampler;
  private readonly maxBytes: number;
  private readonly stopped: (byte: number) => boolean;
  private over: boolean;

  constructor(prompt: string | Uint8Array, options: TextOptions, stream = 0) {
    this.ids = [...encode(prompt, { bos: true, eos: false })];
    this.sampler = new Sampler(options, stream);
    this.maxBytes = options.maxBytes;
    this.stopped = stopsAfter(options.stop ?? null);
    this.over = this.maxBytes === 0;
  }

  /** Whether nothing follows: EOS was drawn, `maxBytes` are made, or the text ends with `stop`. */
  get ended(): boolean {
    return this.over;
  }

  /** The next id, or that which comes `ahead` ids later; the text stays as it is. */
  draw(logits: Float32Array, ahead = 0): number {
    return this.sampler.draw(logits, this.made + ahead);
  }

  /** Adds an id that was drawn. @returns its byte; null for EOS, which only ends the text */
  add(id: number): number | null {
    this.over = id === EOS;
    if (this.over) return null;
    const byte = id - BYTE_OFFSET;
    this.ids.push(id);
    this.made++;
    this.over = this.stopped(byte) || this.made >= this.maxBytes;
    return byte;
  }

  /** Keeps the newer half of the ids, and no more than that of `most`. It is read as if it were the whole text. */
  forget(most: number): void {
    const newest = this.ids.slice(-most);
    this.ids = newest.slice(-Math.ceil(newest.length / 2));
  }
}
