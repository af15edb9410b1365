/** @file Byte-pair encoding: bytes to tokens and back. The vocabulary without merges is the vocabulary of bytes. */
import { BYTE_OFFSET } from '@blt-ts/blt';
import type { Merge } from './bpe-training.ts';
import { bytesOf, preSplit } from './pre-split.ts';

const LIMIT = 2 ** 16;

/** A vocabulary: 4 special ids, the 256 bytes, then one id for each merge. Its first 260 ids are those of the byte models. */
export class Tokenizer {
  /** Number of ids. */
  readonly vocabSize: number;
  /** [vocabSize] bytes of text that each id stands for; 0 for specials. */
  readonly byteLengths: Int32Array;
  private readonly pieces: Uint8Array[];
  /** From two tokens to the merge that joins them. */
  private readonly ranks = new Map<number, number>();
  private readonly words = new Map<string, readonly number[]>();

  /** @throws RangeError if a merge joins tokens that are not there yet */
  constructor(merges: readonly Merge[]) {
    this.pieces = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
    merges.forEach(([left, right], i) => {
      if (!(left >= 0 && left < 256 + i && right >= 0 && right < 256 + i)) {
        throw new RangeError(`merge ${i} joins ${left} and ${right}, of which the vocabulary has ${256 + i} so far`);
      }
      this.ranks.set(left * LIMIT + right, i);
      this.pieces.push(Uint8Array.from([...this.pieces[left], ...this.pieces[right]]));
    });
    this.vocabSize = BYTE_OFFSET + this.pieces.length;
    this.byteLengths = new Int32Array(this.vocabSize);
    this.pieces.forEach(({ length }, token) => {
      this.byteLengths[BYTE_OFFSET + token] = length;
    });
  }

  /** Ids of the bytes, without BOS and EOS: id = token + 4. */
  encode(bytes: Uint8Array): Int32Array {
    const ids: number[] = [];
    for (const word of preSplit(bytes)) for (const token of this.tokensOf(word)) ids.push(BYTE_OFFSET + token);
    return Int32Array.from(ids);
  }

  /** Bytes of ids; specials have none. */
  decode(ids: Int32Array): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const id of ids) if (id >= BYTE_OFFSET) parts.push(this.pieces[id - BYTE_OFFSET]);
    return new Uint8Array(Buffer.concat(parts));
  }

  private tokensOf(word: string): readonly number[] {
    let tokens = this.words.get(word);
    if (tokens === undefined) {
      tokens = this.mergedWord([...bytesOf(word)]);
      this.words.set(word, tokens);
    }
    return tokens;
  }

  /** Joins the pair whose merge was found earliest, the leftmost first, until there is none. */
  private mergedWord(tokens: number[]): number[] {
    for (;;) {
      let [best, at] = [Number.POSITIVE_INFINITY, -1];
      for (let i = 0; i + 1 < tokens.length; i++) {
        const rank = this.ranks.get(tokens[i] * LIMIT + tokens[i + 1]);
        if (rank !== undefined && rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return tokens;
      tokens.splice(at, 2, 256 + best);
    }
  }
}
