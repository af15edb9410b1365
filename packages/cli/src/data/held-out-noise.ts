/** @file How far figures on the held-out part can be trusted. */
import { counted } from '../terminal/human-units.ts';

/**
 * Approximate standard error of bits per byte measured on so many bytes of one text: 3 / sqrt(bytes). On Moby Dick the code lengths of
 * single bytes have a standard deviation of 1.8 to 2.4 bits, for adaptive models of order 1 to 4. Neighbours are alike, so the means of
 * blocks of n bytes scatter more: by 2.2, 3.0 and 3.8 / sqrt(n) for n = 200, 1,000 and 4,000 at 2.8 bits per byte (order 2), and by
 * 3.6, 5.1 and 7.0 / sqrt(n) at 2.1 (order 4). Texts of different kinds in one corpus add to that.
 */
export const standardError = (bytes: number): number => 3 / Math.sqrt(bytes);

/** Fewer held-out bytes than these leave a standard error above 0.05 bits per byte. */
const FEW_BYTES = 3600;

/** A sentence about a held-out part that is too small to mean much, or null. Of nothing held out nothing is said. */
export function tooFewHeldOut(bytes: number): string | null {
  if (bytes === 0 || bytes >= FEW_BYTES) return null;
  return (
    `only ${counted(bytes, 'byte is', 'bytes are')} held out: bits per byte measured on them have a standard error of about ${standardError(bytes).toFixed(2)} ` +
    `(3 / sqrt(bytes)), so smaller differences mean nothing; give more text, a larger --held-out-fraction, or --held-out FILE`
  );
}

/** Bits per byte of a guess that takes all 256 bytes to be alike. */
const CHANCE = 8;

/** A sentence about a final figure that is worse than chance, or null. */
export function worseThanChance(bitsPerByte: number, steps: number): string | null {
  if (!(bitsPerByte > CHANCE)) return null;
  return (
    `${bitsPerByte.toFixed(3)} bits per byte is worse than ${CHANCE}, which takes all bytes to be alike: ` +
    `the time was too short (${counted(steps, 'step')}), the data have no pattern that a model of this size finds, ` +
    'or the held-out part is of another kind (see --minutes, --steps and --split)'
  );
}

/** Bytes of a usual training batch and of a usual evaluation, where they are not known. */
const USUAL_BYTES = 4096;

/**
 * A sentence if the first held-out figure is so far above the training loss that the held-out part must be of another kind, or null.
 * At the first evaluation nothing can have been learnt by heart, so both figures are of unseen text: heldOut > 1.25 train + 3 standard
 * errors of their difference is said.
 * @param trainBpb bits per byte of the last training batches
 * @param heldOutBpb bits per byte of the first evaluation
 * @param bytes that each figure was measured on, if known
 */
export function farApart(
  trainBpb: number,
  heldOutBpb: number,
  { trainBytes = USUAL_BYTES, heldOutBytes = USUAL_BYTES }: { trainBytes?: number; heldOutBytes?: number } = {},
): string | null {
  const noise = Math.hypot(standardError(trainBytes), standardError(heldOutBytes));
  if (!(heldOutBpb > 1.25 * trainBpb + 3 * noise)) return null;
  return (
    `the held-out part is of another kind than the training part: ${heldOutBpb.toFixed(3)} bits per byte at the first evaluation, ` +
    `${trainBpb.toFixed(3)} in training; the figures say little about texts like those trained on (see --split and --held-out)`
  );
}
