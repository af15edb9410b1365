/** @file Kernels of AdamW and the moving average. */
import { kernel } from '../kernel-source.ts';

/** m = beta m + (1 - beta) g', with g' = g scale and rest = 1 - beta. */
export const firstMoment = kernel(
  'firstMoment',
  'line',
  { arrays: 'm g scale', floats: 'beta rest' },
  'y = beta * m[I] + rest * (g[I] * scale[0]);',
);

/** v = beta v + (1 - beta) g'^2 */
export const secondMoment = kernel(
  'secondMoment',
  'line',
  { arrays: 'v g scale', floats: 'beta rest' },
  'y = beta * v[I] + rest * (g[I] * scale[0]) * (g[I] * scale[0]);',
);

/** The new p, from moments that are already updated. correction1 = 1 / (1 - beta1^step), correction2 likewise; keep = 1 - lr weightDecay. */
export const adamwStep = kernel(
  'adamwStep',
  'line',
  { arrays: 'p m v', floats: 'lr correction1 correction2 eps keep' },
  'y = p[I] * keep - lr * (m[I] * correction1) / (Math.sqrt(v[I] * correction2) + eps);',
);

/** Each row of a moment times its factor, which is column `which` of factors [U,5]: the decay of the updates that it skipped. */
export const decayedRows = kernel(
  'decayedRows',
  'rows',
  { arrays: 'x factors', integers: 'C which' },
  'y = x[ROW * C + COL] * factors[ROW * 5 + which];',
);

/** p f0 - f3 m / (sqrt(v) + f4), or p f0 where sqrt(v) + f4 is 0; f is the row's line of factors [U,5]. */
export const caughtUp = kernel(
  'caughtUp',
  'rows',
  { arrays: 'p m v factors', integers: 'C' },
  `y = p[ROW * C + COL] * factors[ROW * 5];
    const root = Math.sqrt(v[ROW * C + COL]) + factors[ROW * 5 + 4];
    if (root > 0) {
      y = y - factors[ROW * 5 + 3] * m[ROW * C + COL] / root;
    }`,
);

export const lerp = kernel('lerp', 'line', { arrays: 'a b', floats: 'weight' }, 'y = a[I] + weight * (b[I] - a[I]);');
