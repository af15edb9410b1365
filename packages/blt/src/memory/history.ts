/** @file The bytes that a memory has read, and the contexts that end with the newest of them. */
import { hash32 } from '@blt-ts/tensor';

/** N-gram contexts: the last so many bytes. */
export const ORDERS = [1, 2, 3, 4, 5, 6, 8] as const;
/**
 * Contexts in all. Behind the n-grams: the word so far; the word so far with the one before; with the one before that; the bytes 2 to 4
 * back; and the last punctuation mark with the word so far.
 */
export const CONTEXTS = ORDERS.length + 5;

/** A byte of a word: an ASCII letter, or any byte of a longer UTF-8 character. */
const isLetter = (byte: number): boolean =>
  (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte >= 0x80;

const SPACE = 0x20;
const NEWLINE = 0x0a;
/** Makes small letters of capital ones. */
const CASE = 0x20;

/** A growing text, and the hashes of its contexts. */
export class History {
  /** The hashes of the contexts that the next byte follows, one for each of CONTEXTS. */
  readonly contexts = new Int32Array(CONTEXTS);
  private readonly before: History | null;
  /** Place of the first byte of `text`. */
  private readonly begin: number;
  private text: Uint8Array;
  private size: number;
  private word = 0;
  private wordBefore = 0;
  private wordBeforeThat = 0;
  private mark = 0;

  /**
   * @param room bytes expected; the text grows beyond it by itself
   * @param before a text that this one goes on from, without a word or a punctuation mark taken over; it is not changed
   */
  constructor(room: number, before: History | null = null) {
    this.text = new Uint8Array(Math.max(64, room));
    this.before = before;
    this.begin = before?.length ?? 0;
    this.size = this.begin;
    this.hashContexts();
  }

  /** Bytes read, those of the text before included. */
  get length(): number {
    return this.size;
  }

  /** The byte at a place; 0 before the first one. */
  at(place: number): number {
    if (place >= this.begin) return this.text[place - this.begin];
    return this.before?.at(place) ?? 0;
  }

  /** A copy of all bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    const own = this.text.slice(0, this.size - this.begin) as Uint8Array<ArrayBuffer>;
    if (!this.before) return own;
    const all = new Uint8Array(this.size);
    all.set(this.before.bytes().subarray(0, this.begin));
    all.set(own, this.begin);
    return all;
  }

  append(byte: number): void {
    const at = this.size++ - this.begin;
    if (at === this.text.length) {
      const longer = new Uint8Array(2 * at);
      longer.set(this.text);
      this.text = longer;
    }
    this.text[at] = byte;
    if (isLetter(byte)) this.word = hash32(this.word, byte | CASE) | 0;
    else {
      if (this.word !== 0) {
        this.wordBeforeThat = this.wordBefore;
        this.wordBefore = this.word;
        this.word = 0;
      }
      if (byte !== SPACE && byte !== NEWLINE) this.mark = byte;
    }
    this.hashContexts();
  }

  /** A hash of `count` bytes, the newest of them `back` bytes back (1: the newest of all). */
  hash(count: number, back = 1): number {
    let hash = count;
    for (let i = 0; i < count; i++) hash = Math.imul(hash ^ this.at(this.size - back - i), 0x2c1b3c6d) + (hash >>> 15);
    return hash32(back, hash) | 0;
  }

  private hashContexts(): void {
    const { contexts } = this;
    let k = 0;
    for (const order of ORDERS) contexts[k++] = this.hash(order);
    contexts[k++] = hash32(this.word, 0x100 + this.at(this.size - 1));
    contexts[k++] = hash32(this.word, this.wordBefore);
    contexts[k++] = hash32(this.word ^ 0x200, this.wordBeforeThat);
    contexts[k++] = this.hash(3, 2);
    contexts[k++] = hash32(this.word, 0x300 + this.mark);
  }
}
