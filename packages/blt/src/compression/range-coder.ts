/**
 * @file Range coding: a sequence of symbols, each with its probability, becomes one number.
 *
 * The number lies in [low, low + range). A symbol that has the shares [start, start + size) of `total` narrows that interval to its part:
 *
 *   step = floor(range / total)    low <- low + step start    range <- step size
 *
 * So the interval of a whole sequence has the length of the product of all probabilities, and -log2 of it is the number of bits that name
 * a number in it. Only 48 bits of low and range are held. When the range has less than 40, the highest byte of low is written, and both
 * are shifted. A sum that no longer fits into 48 bits carries into the bytes written. The reader holds the distance of the number from
 * low, finds the symbol whose part holds it, and narrows the interval in the same way.
 *
 * All are whole numbers below 2^53, which float64 holds exactly. Rounding `step` down costs less than log2(1 + total / range) bits a
 * symbol: 0.0004 where totals are below 2^28.
 * @see Martin 1979, Range encoding: an algorithm for removing redundancy from a digitised message
 */
import { ArchiveError } from '../errors.ts';

const WORD = 2 ** 48;
/** The range never gets smaller. */
const LEAST_RANGE = 2 ** 40;
const WORD_BYTES = 6;

/** Writes symbols as bytes. */
export class RangeEncoder {
  private low = 0;
  private range = WORD;
  private bytes = new Uint8Array(1024);
  private length = 0;

  /** A symbol that has the shares start .. start+size-1 of `total`, which is at most 2^32. */
  encode(start: number, size: number, total: number): void {
    const step = Math.floor(this.range / total);
    this.low += step * start;
    this.range = step * size;
    if (this.low >= WORD) this.carry();
    while (this.range < LEAST_RANGE) this.shift();
  }

  /** The bytes of all symbols. The fewest that name a number in the interval end them. */
  finish(): Uint8Array<ArrayBuffer> {
    let unit = WORD;
    let end = 0;
    do {
      end = Math.ceil(this.low / unit) * unit;
      unit /= 256;
    } while (end >= this.low + this.range);
    this.low = end;
    if (this.low >= WORD) this.carry();
    while (this.low > 0) this.shift();
    return this.bytes.slice(0, this.length);
  }

  private shift(): void {
    const first = Math.floor(this.low / LEAST_RANGE);
    if (this.length === this.bytes.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    this.bytes[this.length++] = first;
    this.low = (this.low - first * LEAST_RANGE) * 256;
    this.range *= 256;
  }

  private carry(): void {
    this.low -= WORD;
    let i = this.length - 1;
    while (this.bytes[i] === 255) this.bytes[i--] = 0;
    this.bytes[i]++;
  }
}

/** Reads symbols from the bytes that a `RangeEncoder` made of them. Zeros follow their end. */
export class RangeDecoder {
  private readonly bytes: Uint8Array;
  private at = 0;
  /** The number's distance from the encoder's low. */
  private distance = 0;
  private range = WORD;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    for (let i = 0; i < WORD_BYTES; i++) this.distance = this.distance * 256 + this.next();
  }

  /** The share of `total` that the next symbol holds. @throws ArchiveError if no encoder can have written that */
  share(total: number): number {
    const share = Math.floor(this.distance / Math.floor(this.range / total));
    if (share >= total) throw new ArchiveError('the archive is damaged');
    return share;
  }

  /** Goes on behind a symbol, given the shares it was encoded with. @throws ArchiveError if the bytes have ended long before */
  consume(start: number, size: number, total: number): void {
    const step = Math.floor(this.range / total);
    this.distance -= step * start;
    this.range = step * size;
    while (this.range < LEAST_RANGE) {
      this.distance = this.distance * 256 + this.next();
      this.range *= 256;
    }
  }

  private next(): number {
    // The encoder leaves out no more than the zeros of its last word.
    if (this.at >= this.bytes.length + WORD_BYTES) throw new ArchiveError('the archive is cut off, or damaged');
    return this.bytes[this.at++] ?? 0;
  }
}

/** Reads symbols, and writes them again: many numbers name the same text, and only the one that an encoder writes is to be taken. */
export class RepeatingDecoder {
  private readonly decoder: RangeDecoder;
  private readonly encoder = new RangeEncoder();

  constructor(coded: Uint8Array) {
    this.decoder = new RangeDecoder(coded);
  }

  /** See `RangeDecoder.share`. */
  share(total: number): number {
    return this.decoder.share(total);
  }

  /** Goes on behind a symbol, given the shares it was encoded with. */
  take(start: number, size: number, total: number): void {
    this.decoder.consume(start, size, total);
    this.encoder.encode(start, size, total);
  }

  /** The bytes that an encoder writes for what was read. */
  again(): Uint8Array<ArrayBuffer> {
    return this.encoder.finish();
  }
}
