/** @file Kernels that read rows of tables and segments of rows. */
import { kernel } from '../kernel-source.ts';
import { folds } from './reduce.ts';

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
