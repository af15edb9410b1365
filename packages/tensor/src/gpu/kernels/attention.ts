/**
 * @file Kernels of interval attention. The scores of the query rows first .. last-1 stand in a rectangle [(last - first) * heads, W]:
 * line (i - first) * heads + h holds those of query i and head h for the keys lo[i] .. hi[i]-1; no interval is longer than W.
 *
 * Neighbouring threads of a line read neighbouring keys, so keys and values are read by strides: `yRow` from key to key, `yColumn`
 * from channel to channel. Transposed ones (yRow 1) are read side by side.
 */
import { kernel } from '../kernel-source.ts';
import { naturalLog } from './log.ts';

/** Query and head of a line of the rectangle; its interval. */
const line = (at: string): string => `
    const local = Math.floor((${at} + 0.5) * inverseHeads);
    const h = ${at} - local * heads;
    const i = local + first;
    const begin = lo[INT(i)];
    const count = hi[INT(i)] - begin;`;

const shared = 'const shared = Math.floor((h + 0.5) * inverseGroup);';

const lineIntegers = 'heads D first yRow yColumn';
const lineFloats = 'inverseHeads inverseGroup scale';

/** x_i . y_j of the line and key `begin + COL`; lines of x are numbered through all queries. */
const dot = (x: string, y: string): string => `
      let total = 0;
      for (let d = 0; d < D; d++) {
        total = total + ${x}[(ROW + first * heads) * D + d]
          * ${y}[(INT(begin) + COL) * yRow + (INT(shared) * D + d) * yColumn];
      }`;

export const scores = kernel(
  'scores',
  'rows',
  { arrays: 'q k lo hi', integers: lineIntegers, floats: lineFloats },
  `${line('ROW')}
    ${shared}
    if (COL < count) {${dot('q', 'k')}
      y = scale * total;
    }`,
);

/**
 * Largest score of each line, over every `parts`-th key from COL on; `steps` = ceil(W / parts). With one part that is all of them,
 * with more a fold over the parts follows.
 */
export const scoreMax = kernel(
  'scoreMax',
  'rows',
  { arrays: 's lo hi', integers: 'heads first W parts steps', floats: 'inverseHeads' },
  `${line('ROW')}
    y = s[ROW * W];
    for (let u = 0; u < steps; u++) {
      if (u * parts + COL < count) {
        const v = s[ROW * W + u * parts + COL];
        if (v > y) { y = v; } else { if (y >= v) { y = y; } else { y = y + v; } }
      }
    }`,
);

/** Sum of e^(s - max) of each line, over the same parts. */
export const scoreSum = kernel(
  'scoreSum',
  'rows',
  { arrays: 's max lo hi', integers: 'heads first W parts steps', floats: 'inverseHeads' },
  `${line('ROW')}
    for (let u = 0; u < steps; u++) {
      if (u * parts + COL < count) {
        y = y + Math.exp(s[ROW * W + u * parts + COL] - max[ROW]);
      }
    }`,
);

/** e^(s - max) / sum; what lies outside the interval is never read. */
export const probabilities = kernel(
  'probabilities',
  'rows',
  { arrays: 's max sum', integers: 'W' },
  `if (sum[ROW] > 0) {
      y = Math.exp(s[ROW * W + COL] - max[ROW]) / sum[ROW];
    } else {
      y = sum[ROW];
    }`,
);

/** max + ln sum, 0 for an empty interval; lines before `offset` are taken from `before`. */
export const logSumExp = kernel(
  'logSumExp',
  'line',
  { arrays: 'max sum before', integers: 'offset count' },
  `if (I < offset) {
      y = before[I];
    } else {
      if (I < offset + count) {
        const total = sum[I - offset];
        if (total !== 0) {${naturalLog('total')}
          y = y + max[I - offset];
        }
      }
    }`,
);

/** A column of a query row: head and place in it. */
const column = `
    const h = Math.floor((COL + 0.5) * inverseD);
    const d = COL - h * D;
    ${shared}`;

/** y_i = sum_j w_ij x_j for the rows first .. last-1; those before them are taken from `before`. */
export const weightedSum = kernel(
  'weightedSum',
  'rows',
  { arrays: 'w x lo hi before', integers: 'heads kvHeads D W first last', floats: 'inverseD inverseGroup' },
  `if (ROW < first) {
      y = before[ROW * heads * D + COL];
    } else {
      if (ROW < last) {${column}
        const begin = lo[ROW];
        const count = hi[ROW] - begin;
        for (let t = 0; t < count; t++) {
          y = y + w[((ROW - first) * heads + INT(h)) * W + t]
            * x[((INT(begin) + t) * kvHeads + INT(shared)) * D + INT(d)];
        }
      }
    }`,
);

// ----- backward -------------------------------------------------------------------------------------------------------

/** p_ij = e^(scale q_i . k_j - lse_i) */
export const recalled = kernel(
  'recalled',
  'rows',
  { arrays: 'q k lse lo hi', integers: lineIntegers, floats: lineFloats },
  `${line('ROW')}
    ${shared}
    if (COL < count) {${dot('q', 'k')}
      y = Math.exp(scale * total - lse[ROW + first * heads]);
    }`,
);

/** g_i . out_i of each line */
export const outputShare = kernel(
  'outputShare',
  'line',
  { arrays: 'g out', integers: 'D' },
  `for (let d = 0; d < D; d++) {
      y = y + g[I * D + d] * out[I * D + d];
    }`,
);

/** scale p_ij (g_i . v_j - g_i . out_i) */
export const scoreGradient = kernel(
  'scoreGradient',
  'rows',
  { arrays: 'p g v share lo hi', integers: `${lineIntegers} W`, floats: lineFloats },
  `${line('ROW')}
    ${shared}
    if (COL < count) {${dot('g', 'v')}
      y = scale * p[ROW * W + COL] * (total - share[ROW + first * heads]);
    }`,
);

/**
 * dk_j = sum_i ds_ij q_i, dv_j = sum_i p_ij g_i, over the queries first .. last-1, added to `before` (what the queries before
 * them gave). The queries that see key j are from[j] .. to[j]-1, since lo and hi never decrease; within one key/value head all
 * heads of its group add.
 */
export const keyGradient = kernel(
  'keyGradient',
  'rows',
  { arrays: 's x lo from to before', integers: 'width heads group D W first last', floats: 'inverseD' },
  `const shared = Math.floor((COL + 0.5) * inverseD);
    const d = COL - shared * D;
    const start = Math.max(from[ROW], first);
    const count = Math.min(to[ROW], last) - start;
    if (first > 0) {
      y = before[ROW * width + COL];
    }
    for (let t = 0; t < count; t++) {
      const begin = lo[INT(start) + t];
      for (let u = 0; u < group; u++) {
        y = y + s[((INT(start) + t - first) * heads + INT(shared) * group + u) * W + ROW - INT(begin)]
          * x[((INT(start) + t) * heads + INT(shared) * group + u) * D + INT(d)];
      }
    }`,
);
