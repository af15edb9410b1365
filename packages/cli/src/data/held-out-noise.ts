/** @file How far figures on the held-out part can be trusted. */

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
    `only ${bytes} bytes are held out: bits per byte measured on them have a standard error of about ${standardError(bytes).toFixed(2)} ` +
    `(3 / sqrt(bytes)), so smaller differences mean nothing; give more text, a larger --held-out-fraction, or --held-out FILE`
  );
}
