/** @file Probabilities as numbers on the whole line: mixing adds them there. */
import { naturalExp, naturalLog } from '@blt-ts/tensor';

/** No probability that leaves this folder is nearer to 0 or 1, so no byte is ever impossible. */
export const LEAST = 2 ** -16;

/** ln(p / (1 - p)), the inverse of `squash`. @param p in (0, 1) */
export const stretch = (p: number): number => naturalLog(p / (1 - p));

/** 1 / (1 + e^-x) */
export const squash = (x: number): number => 1 / (1 + naturalExp(-x));

/** p, but not below LEAST or above 1 - LEAST. */
export const clamped = (p: number): number => Math.min(1 - LEAST, Math.max(LEAST, p));

const STEPS = 4096;
const stretches = Float64Array.from({ length: STEPS }, (_, i) => stretch((i + 0.5) / STEPS));

/** `stretch` of p rounded to a middle of 1/4096: a look-up, for the many inputs of a mixture. @param p in [0, 1) */
export const roughStretch = (p: number): number => stretches[(p * STEPS) | 0];
