/** @file Kernels that work along the last axis. Threads only gather: a position is found by counting what comes before it. */
import { type KernelSource, kernel } from '../kernel-source.ts';

/** The sum of the elements up to the own one, or from it on. */
const runningSum = (name: string, count: string, at: string): KernelSource =>
  kernel(
    name,
    'rows',
    { arrays: 'x', integers: 'size' },
    `const count = ${count};
    for (let l = 0; l < count; l++) {
      y = y + x[ROW * size + ${at}];
    }`,
  );

export const cumsumForward = runningSum('cumsumForward', 'COL + 1', 'l');
export const cumsumReverse = runningSum('cumsumReverse', 'size - COL', 'COL + l');

/** How many elements of the row come before this one in the order wanted. `out` is 1 for NaN, the largest of all. */
const rank = (name: string, before: '<' | '>'): KernelSource =>
  kernel(
    name,
    'rows',
    { arrays: 'x', integers: 'size' },
    `const v = x[ROW * size + COL];
    let own = 1;
    if (v > 0 || v <= 0) { own = 0; }
    for (let l = 0; l < size; l++) {
      const w = x[ROW * size + l];
      let other = 1;
      if (w > 0 || w <= 0) { other = 0; }
      if (w ${before} v || other ${before} own) {
        y = y + 1;
      } else {
        if (l < COL && (w === v || own + other > 1.5)) { y = y + 1; }
      }
    }`,
  );

export const rankAscending = rank('rankAscending', '<');
export const rankDescending = rank('rankDescending', '>');

/** y[.., k] = sum of values[.., l] over the l whose place is k. */
const atPlace = (name: string, arrays: string, value: string): KernelSource =>
  kernel(
    name,
    'rows',
    { arrays, integers: 'size' },
    `for (let l = 0; l < size; l++) {
      const place = places[ROW * size + l];
      if (place > COL - 0.5 && place < COL + 0.5) { y = y + ${value}; }
    }`,
  );

/** From ranks to positions. */
export const positionOfRank = atPlace('positionOfRank', 'places', 'l');
export const scatterAddAxis = atPlace('scatterAddAxis', 'x places', 'x[ROW * size + l]');

export const gatherAxis = kernel(
  'gatherAxis',
  'rows',
  { arrays: 'x ids', integers: 'size m' },
  'const id = ids[ROW * m + COL]; y = x[ROW * size + INT(id)];',
);
