/** @file Bits per byte, and entropies of logits. */
import { naturalExp, naturalLog } from '@blt-ts/tensor';

/** Bits = nats / ln 2. */
export function natsToBits(nats: number): number {
  return nats / Math.LN2;
}

/**
 * Bits per byte: the tokenizer-free measure of a language model, sum of cross-entropies / (ln 2 * bytes).
 * @param sumNats sum over all predicted tokens of -ln p, specials included: the end of a document costs, too
 * @param bytes how many of the predicted tokens are bytes of the text (`countBytes`). The authors divide by all predicted
 *   tokens, EOS and BOS included, which flatters texts of short documents.
 * @throws RangeError if bytes is not above 0
 * @see Pagnoni et al. 2024, equation 18
 */
export function bitsPerByte(sumNats: number, bytes: number): number {
  if (!(bytes > 0)) throw new RangeError(`bitsPerByte: the number of bytes must be above 0, got ${bytes}`);
  return natsToBits(sumNats) / bytes;
}

/**
 * Entropy of softmax(logits) per row, H = -sum p ln p in nats; uniform over 260 classes is ln 260 = 5.5607.
 * Computed in float64 as ln Z - sum p*z with z = logit - max, which needs no ln of a tiny p.
 * @param logits [rows * classes]   @returns [rows] nats
 * @throws RangeError if the logits are not whole rows
 * @see Pagnoni et al. 2024, equation 1 (which omits the minus sign)
 */
export function entropyNats(logits: Float32Array, classes: number): Float32Array {
  if (!Number.isInteger(classes) || classes < 1 || logits.length % classes !== 0) {
    throw new RangeError(`entropyNats: ${logits.length} logits are not whole rows of ${classes} classes`);
  }
  const out = new Float32Array(logits.length / classes);
  for (let row = 0; row < out.length; row++) {
    const start = row * classes;
    let max = Number.NEGATIVE_INFINITY;
    for (let v = 0; v < classes; v++) max = Math.max(max, logits[start + v]);
    let Z = 0;
    let weighted = 0;
    for (let v = 0; v < classes; v++) {
      const z = logits[start + v] - max;
      const e = naturalExp(z);
      Z += e;
      // A class at -Infinity has p = 0 and adds nothing; 0 * -Infinity would be NaN.
      if (e > 0) weighted += e * z;
    }
    out[row] = naturalLog(Z) - weighted / Z;
  }
  return out;
}
