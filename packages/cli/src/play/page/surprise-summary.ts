/** @file Where the bits of a passage go. */
import type { Reading } from '../messages.ts';

/** The mean, and how much of it the first bytes of patches cost. */
export function summary({ bytes, surprise, layout }: Reading): string {
  const starts = new Set(layout.patchStarts);
  const [first, other]: [number[], number[]] = [[], []];
  for (const [i, bits] of surprise.entries()) (starts.has(i + 1) ? first : other).push(bits);
  const total = (bits: readonly number[]) => bits.reduce((sum, b) => sum + b, 0);
  const mean = (bits: readonly number[]) => (bits.length === 0 ? '0' : (total(bits) / bits.length).toFixed(2));
  const all = ((total(first) + total(other)) / bytes.length).toFixed(2);
  return `${all} bits per byte. The first byte of a patch costs ${mean(first)} bits on average, every other byte ${mean(other)}.`;
}
