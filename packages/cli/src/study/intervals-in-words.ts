/** @file Figures with their 95 % intervals as readers see them. */
import { type Interval, wilson } from './statistics.ts';

/** `1.031 (1.022 to 1.040)`; nothing where there is no figure. */
export const withInterval = (i: Interval | null, digits: number): string =>
  i === null ? '' : `${i.value.toFixed(digits)} (${i.low.toFixed(digits)} to ${i.high.toFixed(digits)})`;

/** `99.5 % (98.9 to 99.8)` for a share with Wilson's interval; nothing of nothing. */
export function percent(right: number, of: number): string {
  if (of === 0) return '';
  const { value, low, high } = wilson(right, of);
  return `${(100 * value).toFixed(1)} % (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`;
}

/** The ones in a text of zeros and ones. */
export const ones = (digits: string): number => digits.length - digits.replaceAll('1', '').length;
