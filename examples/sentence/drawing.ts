/** @file Numbers and intervals as text of equal columns. */
import { BYTE_OFFSET, type Interval } from '@blt-ts/blt';
import type { Tensor } from '@blt-ts/tensor';

/** A byte as one visible sign; the special id 1 is BOS. */
export const sign = (id: number): string =>
  id < BYTE_OFFSET ? 'BOS' : String.fromCharCode(id - BYTE_OFFSET).replace(' ', '_');

/** Cells side by side, each four wide. */
export const line = (label: string, cells: readonly (string | number)[]): string =>
  `${label.padEnd(11)}${cells.map((cell) => String(cell).padStart(4)).join('')}`;

/** The first four values of a row of a tensor, and how many more there are. */
export function firstFour(x: Tensor, row: number): string {
  const width = x.shape[1];
  const values = x.readSync().subarray(row * width, row * width + 4);
  return `${[...values].map((value) => value.toFixed(3).padStart(7)).join('')}  ... ${width} values`;
}

/** One line for each query: # where it sees a key. @param keys how many keys there are */
export const band = ({ lo, hi }: Interval, keys: number): string[] =>
  Array.from(lo, (from, i) => Array.from({ length: keys }, (_, j) => (j >= from && j < hi[i] ? '#' : '.')).join(''));

/** Drawings side by side, each under its title. */
export function beside(drawings: readonly { readonly title: string; readonly rows: readonly string[] }[]): string[] {
  const height = drawings.reduce((most, { rows }) => Math.max(most, rows.length), 0);
  const widths = drawings.map(({ title, rows }) =>
    rows.reduce((most, row) => Math.max(most, row.length), title.length),
  );
  const all = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] + 3))
      .join('')
      .trimEnd();
  return [
    all(drawings.map(({ title }) => title)),
    ...Array.from({ length: height }, (_, r) => all(drawings.map(({ rows }) => rows[r] ?? ''))),
  ];
}
