const BLOCKS = '▁▂▃▄▅▆▇█';

export interface SparklineOptions {
  /** Most characters to use; longer series are averaged in equal groups. Default 60. */
  width?: number;
  /** Value of the lowest block. Default: the smallest shown. */
  min?: number;
  /** Value of the highest block. Default: the largest shown. */
  max?: number;
}

/**
 * A series as a row of block characters, one value (or the mean of a group) each: [1,2,3,4] -> `▁▃▆█`. A constant series is drawn at
 * the lowest block; a group without a finite value is a space.
 */
export function sparkline(values: readonly number[], options: SparklineOptions = {}): string {
  const width = Math.max(1, Math.floor(options.width ?? 60));
  const shown = groupMeans(values, Math.min(width, values.length));
  const finite = shown.filter(Number.isFinite);
  const min = options.min ?? finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const max = options.max ?? finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return shown
    .map((value) => {
      if (!Number.isFinite(value)) return ' ';
      const share = max > min ? (value - min) / (max - min) : 0;
      const level = Math.round(share * (BLOCKS.length - 1));
      return BLOCKS[Math.min(BLOCKS.length - 1, Math.max(0, level))];
    })
    .join('');
}

/** Means of the finite values of `count` consecutive groups whose sizes differ by at most one; NaN for a group without any. */
export function groupMeans(values: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, group) => {
    const from = Math.floor((group * values.length) / count);
    const to = Math.floor(((group + 1) * values.length) / count);
    const finite = values.slice(from, to).filter(Number.isFinite);
    // Dividing first keeps the sum of huge values finite.
    return finite.length === 0 ? Number.NaN : finite.reduce((sum, value) => sum + value / finite.length, 0);
  });
}
