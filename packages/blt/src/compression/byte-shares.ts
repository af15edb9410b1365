/**
 * @file A model's prediction of the next byte as whole numbers, for a range coder. Byte b gets
 *
 *   share(b) = 1 + floor(2^20 e^(logit(b) - most))
 *
 * of the sum over all bytes, where `most` is the largest logit of a byte. The exponential is made of + - * / on float64 (`naturalExp`), so
 * every machine gets the same numbers from the same logits. The 1 makes every byte possible. It costs at most log2(1 + 2^-12) bits a byte.
 * Specials get nothing, because an archive says how long its contents are.
 */
import { naturalExp } from '@blt-ts/tensor';
import { NonFiniteError } from '../errors.ts';
import { BYTE_OFFSET } from '../patching/vocabulary.ts';

const BYTES = 256;
const SCALE = 2 ** 20;
/** The message of a NonFiniteError. */
export const BROKEN_PREDICTION = 'a prediction of the model is not a number; its weights are broken, train it again';
/** e^x 2^20 < 1 from here on. */
const NEGLIGIBLE = -20 * Math.LN2;

/** Shares of the 256 bytes. */
export class ByteShares {
  /** [257] sums of the shares before each byte; the last is that of all. */
  readonly starts = new Float64Array(BYTES + 1);

  /** The sum of all shares, at most 2^29. */
  get total(): number {
    return this.starts[BYTES];
  }

  /** Takes the prediction of a row of logits that begins at `at`. @throws NonFiniteError if a byte's logit is not a number */
  take(logits: Float32Array, at: number): void {
    const { starts } = this;
    const first = at + BYTE_OFFSET;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = first; i < first + BYTES; i++) if (logits[i] > most) most = logits[i];
    let sum = 0;
    for (let byte = 0; byte < BYTES; byte++) {
      const below = logits[first + byte] - most;
      sum += below < NEGLIGIBLE ? 1 : 1 + Math.floor(SCALE * naturalExp(below));
      starts[byte + 1] = sum;
    }
    if (!Number.isFinite(sum)) throw new NonFiniteError(BROKEN_PREDICTION);
  }

  size(byte: number): number {
    return this.starts[byte + 1] - this.starts[byte];
  }

  /** The byte that holds a share: starts[byte] <= share < starts[byte + 1]. */
  byteOf(share: number): number {
    const { starts } = this;
    let byte = 0;
    for (let half = BYTES >> 1; half > 0; half >>= 1) if (starts[byte + half] <= share) byte += half;
    return byte;
  }
}
