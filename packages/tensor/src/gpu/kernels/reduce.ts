/** @file Kernels that fold an axis: sums, sums of squares, maxima; and deviations from the mean. */
import { kernel } from '../kernel-source.ts';

export const folds = {
  sum: { start: 'y = 0;', step: 'y = y + v;' },
  squares: { start: 'y = 0;', step: 'y = y + v * v;' },
  // NaN is handed on: it is neither larger nor not larger.
  max: { start: 'y = FIRST;', step: 'if (v > y) { y = v; } else { if (y >= v) { y = y; } else { y = y + v; } }' },
};

export type Fold = keyof typeof folds;

const perFold = <T>(make: (fold: Fold) => T) =>
  ({ sum: make('sum'), squares: make('squares'), max: make('max') }) as Record<Fold, T>;

/** y[i] = fold of x[i * length + l] over l < length: the last axis. */
export const foldLast = perFold((fold) =>
  kernel(
    `${fold}Last`,
    'line',
    { arrays: 'x', integers: 'length' },
    `${folds[fold].start.replace('FIRST', 'x[I * length]')}
    for (let l = 0; l < length; l++) {
      const v = x[I * length + l];
      ${folds[fold].step}
    }`,
  ),
);

/**
 * x [outer, length, inner] -> y [outer, inner]; elements from `total` on do not exist, so that a long axis can be cut into
 * pieces of which the last is shorter. A maximum starts from x[ROW * first + COL], which must exist.
 */
export const foldMiddle = perFold((fold) =>
  kernel(
    `${fold}Middle`,
    'rows',
    { arrays: 'x', integers: 'length inner total first' },
    `${folds[fold].start.replace('FIRST', 'x[ROW * first + COL]')}
    for (let l = 0; l < length; l++) {
      if ((ROW * length + l) * inner + COL < total) {
        const v = x[(ROW * length + l) * inner + COL];
        ${folds[fold].step}
      }
    }`,
  ),
);

/** x - mean of each row, of which the sum is given. */
export const deviations = kernel(
  'deviations',
  'rows',
  { arrays: 'x sum', integers: 'C' },
  'y = x[ROW * C + COL] - sum[ROW] / C;',
);
