/** @file Kernels of softmax and cross-entropy. */
import { kernel } from '../kernel-source.ts';
import { naturalLog } from './log.ts';

/** ln sum_c e^(x_c - max) of each row. */
export const rowLogSum = kernel(
  'rowLogSum',
  'line',
  { arrays: 'x max', integers: 'C' },
  `let total = 0;
    for (let c = 0; c < C; c++) {
      total = total + Math.exp(x[I * C + c] - max[I]);
    }
    ${naturalLog('total')}`,
);

export const softmax = kernel(
  'softmax',
  'rows',
  { arrays: 'x max logSum', integers: 'C' },
  'y = Math.exp(x[ROW * C + COL] - max[ROW] - logSum[ROW]);',
);

export const logSoftmax = kernel(
  'logSoftmax',
  'rows',
  { arrays: 'x max logSum', integers: 'C' },
  'y = x[ROW * C + COL] - max[ROW] - logSum[ROW];',
);

export const crossEntropy = kernel(
  'crossEntropy',
  'line',
  { arrays: 'x max logSum targets', integers: 'C' },
  'const target = targets[I]; y = max[I] - x[I * C + INT(target)] + logSum[I];',
);

export const crossEntropyBackward = kernel(
  'crossEntropyBackward',
  'rows',
  { arrays: 'x max logSum targets g', integers: 'C' },
  `let p = Math.exp(x[ROW * C + COL] - max[ROW] - logSum[ROW]);
    const target = targets[ROW];
    if (INT(target) === COL) {
      p = p - 1;
    }
    y = g[ROW] * p;`,
);
