/** @file The kernel of rotary position embedding. */
import { kernel } from '../kernel-source.ts';

/** A row is one head of one position; `turn` is -1 to turn the other way. */
export const rope = kernel(
  'rope',
  'rows',
  { arrays: 'x cos sin positions', integers: 'D half', floats: 'turn' },
  `const pair = Math.floor(COL * 0.5);
    const odd = COL - pair * 2;
    const other = x[ROW * D + COL + 1 - 2 * INT(odd)];
    const position = positions[ROW];
    const cosine = cos[INT(position) * half + INT(pair)];
    const sine = sin[INT(position) * half + INT(pair)];
    y = x[ROW * D + COL] * cosine + (2 * odd - 1) * turn * other * sine;`,
);
