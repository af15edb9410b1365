/**
 * @file Kernels of interval attention. Scores stand in a rectangle [n * heads, W]: line i * heads + h holds those of query i
 * and head h for the keys lo[i] .. hi[i]-1, W being the longest interval.
 */
import { kernel } from './kernel-source.ts';
import { naturalLog } from './sources-elementwise.ts';

/** Query, head and key/value head of a line of the rectangle. */
const line = (at: string): string => `
    const i = Math.floor((${at} + 0.5) * inverseHeads);
    const h = ${at} - i * heads;
    const shared = Math.floor((h + 0.5) * inverseGroup);
    const begin = lo[INT(i)];
    const count = hi[INT(i)] - begin;`;

const lineIntegers = 'heads kvHeads D W';
const lineFloats = 'inverseHeads inverseGroup';

/** q_i . k_j of the line and key `begin + COL`; a line of q has the same number as a line of the rectangle. */
const dot = (x: string, y: string): string => `
      for (let d = 0; d < D; d++) {
        total = total + ${x}[ROW * D + d] * ${y}[((INT(begin) + COL) * kvHeads + INT(shared)) * D + d];
      }`;

export const scores = kernel(
  'scores',
  'rows',
  { arrays: 'q k lo hi', integers: lineIntegers, floats: `${lineFloats} scale` },
  `${line('ROW')}
    if (COL < count) {
      let total = 0;${dot('q', 'k')}
      y = scale * total;
    }`,
);

export const scoreMax = kernel(
  'scoreMax',
  'line',
  { arrays: 's lo hi', integers: 'heads W', floats: 'inverseHeads' },
  `const i = Math.floor((I + 0.5) * inverseHeads);
    const count = hi[INT(i)] - lo[INT(i)];
    y = s[I * W];
    for (let t = 0; t < count; t++) {
      const v = s[I * W + t];
      if (v > y) { y = v; } else { if (y >= v) { y = y; } else { y = y + v; } }
    }`,
);

export const scoreSum = kernel(
  'scoreSum',
  'line',
  { arrays: 's max lo hi', integers: 'heads W', floats: 'inverseHeads' },
  `const i = Math.floor((I + 0.5) * inverseHeads);
    const count = hi[INT(i)] - lo[INT(i)];
    for (let t = 0; t < count; t++) {
      y = y + Math.exp(s[I * W + t] - max[I]);
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

/** max + ln sum; 0 for an empty interval. */
export const logSumExp = kernel(
  'logSumExp',
  'line',
  { arrays: 'max sum' },
  `if (sum[I] !== 0) {
      const total = sum[I];
      ${naturalLog('total')}
      y = y + max[I];
    }`,
);

/** A column of a query row: head and place in it. */
const column = `
    const h = Math.floor((COL + 0.5) * inverseD);
    const d = COL - h * D;
    const shared = Math.floor((h + 0.5) * inverseGroup);`;

const spread = (name: string, weights: string, source: string) =>
  kernel(
    name,
    'rows',
    { arrays: `${weights} ${source} lo hi`, integers: lineIntegers, floats: 'inverseD inverseGroup' },
    `${column}
    const begin = lo[ROW];
    const count = hi[ROW] - begin;
    for (let t = 0; t < count; t++) {
      y = y + ${weights}[(ROW * heads + INT(h)) * W + t] * ${source}[((INT(begin) + t) * kvHeads + INT(shared)) * D + INT(d)];
    }`,
  );

/** out_i = sum_j p_ij v_j */
export const attended = spread('attended', 'p', 'v');
/** dq_i = sum_j ds_ij k_j */
export const queryGradient = spread('queryGradient', 's', 'k');

// ----- backward -------------------------------------------------------------------------------------------------------

/** p_ij = e^(scale q_i . k_j - lse_i) */
export const recalled = kernel(
  'recalled',
  'rows',
  { arrays: 'q k lse lo hi', integers: lineIntegers, floats: `${lineFloats} scale` },
  `${line('ROW')}
    if (COL < count) {
      let total = 0;${dot('q', 'k')}
      y = Math.exp(scale * total - lse[ROW]);
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
  { arrays: 'p g v share lo hi', integers: lineIntegers, floats: `${lineFloats} scale` },
  `${line('ROW')}
    if (COL < count) {
      let total = 0;${dot('g', 'v')}
      y = scale * p[ROW * W + COL] * (total - share[ROW]);
    }`,
);

/**
 * dk_j = sum_i ds_ij q_i, dv_j = sum_i p_ij g_i. The queries that see key j are from[j] .. to[j]-1, since lo and hi never
 * decrease; within one key/value head all heads of its group add.
 */
export const keyGradient = kernel(
  'keyGradient',
  'rows',
  { arrays: 's x lo from to', integers: 'heads group D W', floats: 'inverseD' },
  `const shared = Math.floor((COL + 0.5) * inverseD);
    const d = COL - shared * D;
    const first = from[ROW];
    const count = to[ROW] - first;
    for (let t = 0; t < count; t++) {
      const begin = lo[INT(first) + t];
      for (let u = 0; u < group; u++) {
        y = y + s[((INT(first) + t) * heads + INT(shared) * group + u) * W + ROW - INT(begin)]
          * x[((INT(first) + t) * heads + INT(shared) * group + u) * D + INT(d)];
      }
    }`,
);
