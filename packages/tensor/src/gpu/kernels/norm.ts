/** @file Kernels of root-mean-square normalisation. */
import { kernel } from '../kernel-source.ts';

/** 1 / sqrt(mean of squares + eps) of each row. */
export const inverseRms = kernel(
  'inverseRms',
  'line',
  { arrays: 'x', integers: 'C', floats: 'eps' },
  `let squares = 0;
    for (let c = 0; c < C; c++) {
      squares = squares + x[I * C + c] * x[I * C + c];
    }
    y = 1 / Math.sqrt(squares / C + eps);`,
);

export const rmsNorm = kernel(
  'rmsNorm',
  'rows',
  { arrays: 'x r w', integers: 'C' },
  'y = x[ROW * C + COL] * r[ROW] * w[COL];',
);

/** r^2 mean_c(g w x) of each row. */
export const rmsShare = kernel(
  'rmsShare',
  'line',
  { arrays: 'x w g r', integers: 'C' },
  `let dot = 0;
    for (let c = 0; c < C; c++) {
      dot = dot + g[I * C + c] * w[c] * x[I * C + c];
    }
    y = dot / C * r[I] * r[I];`,
);

export const rmsNormBackward = kernel(
  'rmsNormBackward',
  'rows',
  { arrays: 'x w g r share', integers: 'C' },
  'y = r[ROW] * (g[ROW * C + COL] * w[COL] - x[ROW * C + COL] * share[ROW]);',
);

/** dw summed over one group of `down` rows: sum of g x r. Rows from `total` on do not exist. */
export const rmsWeights = kernel(
  'rmsWeights',
  'rows',
  { arrays: 'x g r', integers: 'C down total' },
  `for (let l = 0; l < down; l++) {
      if (ROW * down + l < total) {
        y = y + g[(ROW * down + l) * C + COL] * x[(ROW * down + l) * C + COL] * r[ROW * down + l];
      }
    }`,
);
