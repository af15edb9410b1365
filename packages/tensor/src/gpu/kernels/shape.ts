/** @file Kernels that move elements: copies, padding, joining. */
import { type KernelSource, kernel } from '../kernel-source.ts';
import { strided } from './strided.ts';

/** Transposes, slices, repetitions. */
export const copyStrided = strided('copyStrided', [['a', 'p']], 'y = p;');

/** One axis read at even steps, and what is left of a copy when all axes have merged. */
export const copyLine = kernel(
  'copyLine',
  'line',
  { arrays: 'x', integers: 'offset step' },
  'y = x[offset + I * step];',
);

/** x set between zeros: a row of y is [before + d + after]. `Line` for one long row. */
const pad = (name: string, grid: 'line' | 'rows', row: string, at: string): KernelSource =>
  kernel(
    name,
    grid,
    { arrays: 'x', integers: 'before d' },
    `if (${at} >= before && ${at} < before + d) {
      y = x[${row}${at} - before];
    }`,
  );

export const padRows = pad('padRows', 'rows', 'ROW * d + ', 'COL');

export const padLine = pad('padLine', 'line', '', 'I');

/** A row of a [da] followed by a row of b [db]. */
const join = (name: string, grid: 'line' | 'rows', row: (d: string) => string, at: string): KernelSource =>
  kernel(
    name,
    grid,
    { arrays: 'a b', integers: 'da db' },
    `if (${at} < da) {
      y = a[${row('da')}${at}];
    } else {
      y = b[${row('db')}${at} - da];
    }`,
  );

export const joinRows = join('joinRows', 'rows', (d) => `ROW * ${d} + `, 'COL');

export const joinLine = join('joinLine', 'line', () => '', 'I');
