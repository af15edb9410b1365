/** @file Kernels that reduce, and kernels that read rows of tables and segments of rows. */
import { kernel } from './kernel-source.ts';

// ----- reductions -----------------------------------------------------------------------------------------------------

const folds = {
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

// ----- tables ---------------------------------------------------------------------------------------------------------

export const gatherRows = kernel(
  'gatherRows',
  'rows',
  { arrays: 'table ids', integers: 'C' },
  'const id = ids[ROW]; y = table[INT(id) * C + COL];',
);

export const embeddingBag = kernel(
  'embeddingBag',
  'rows',
  { arrays: 'table ids', integers: 'C G' },
  `for (let g = 0; g < G; g++) {
      const id = ids[ROW * G + g];
      if (id >= 0) {
        y = y + table[INT(id) * C + COL];
      }
    }`,
);

/** Rows `ids` of a table replaced: `places[row]` is the row of `rows` to put there, or -1. */
export const putRows = kernel(
  'putRows',
  'rows',
  { arrays: 'table rows places', integers: 'C' },
  `const place = places[ROW];
    if (place >= 0) {
      y = rows[INT(place) * C + COL];
    } else {
      y = table[ROW * C + COL];
    }`,
);

// ----- segments -------------------------------------------------------------------------------------------------------

export const segmentGatherSum = kernel(
  'segmentGatherSum',
  'rows',
  { arrays: 'x entries starts', integers: 'C' },
  `const begin = starts[ROW];
    const count = starts[ROW + 1] - begin;
    for (let e = 0; e < count; e++) {
      const entry = entries[INT(begin) + e];
      y = y + x[INT(entry) * C + COL];
    }`,
);

export const segmentMax = kernel(
  'segmentMax',
  'rows',
  { arrays: 'x starts', integers: 'C' },
  `const begin = starts[ROW];
    const count = starts[ROW + 1] - begin;
    for (let e = 0; e < count; e++) {
      const v = x[(INT(begin) + e) * C + COL];
      if (e === 0) {
        y = v;
      } else {
        ${folds.max.step}
      }
    }`,
);

/** How many rows of each segment equal its maximum. */
export const segmentTies = kernel(
  'segmentTies',
  'rows',
  { arrays: 'x peaks starts', integers: 'C' },
  `const begin = starts[ROW];
    const count = starts[ROW + 1] - begin;
    const peak = peaks[ROW * C + COL];
    for (let e = 0; e < count; e++) {
      if (x[(INT(begin) + e) * C + COL] === peak) {
        y = y + 1;
      }
    }`,
);

/** `segment[row]` is the segment of a row, or -1. A segment without a largest row has NaN in it. */
export const segmentMaxBackward = kernel(
  'segmentMaxBackward',
  'rows',
  { arrays: 'x peaks g ties segment', integers: 'C' },
  `const p = segment[ROW];
    if (p >= 0) {
      const peak = peaks[INT(p) * C + COL];
      const rivals = ties[INT(p) * C + COL];
      if (x[ROW * C + COL] === peak) {
        y = g[INT(p) * C + COL] / rivals;
      }
      if (rivals < 1) {
        y = peak;
      }
    }`,
);
