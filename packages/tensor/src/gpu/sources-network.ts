/** @file Kernels of the transformer: products of matrices, softmax, normalisation, rotary positions, optimiser. */
import { kernel } from './kernel-source.ts';
import { naturalLog } from './sources-elementwise.ts';

// ----- matmul ---------------------------------------------------------------------------------------------------------

const a = (l: string) => `a[this.thread.z * aStep + ROW * aRow + (${l}) * aColumn]`;
const b = (l: string, j: string) => `b[this.thread.z * bStep + (${l}) * bRow + (${j}) * bColumn]`;
const sizes = 'K aStep aRow aColumn bStep bRow bColumn';

/** One product added to each of the four sums; `v` names the local, since gpu.js drops the braces of inner blocks. */
const tileStep = (l: string, v: string) =>
  [`const ${v} = ${a(l)};`, ...[0, 1, 2, 3].map((j) => `y${j} = y${j} + ${v} * ${b(l, `COL * 4 + ${j}`)};`)].join(
    '\n      ',
  );

/**
 * y = a b, transposed operands by their strides; one thread computes four neighbouring columns, so that each element of a
 * is read once for four products. The four numbers a thread returns lie side by side in memory: the result is row-major.
 * Matrix z is the sum over at most K products; those from `total` on do not exist, so that one long sum can be cut into pieces.
 */
export const matmulTile = kernel(
  'matmulTile',
  'tiles',
  { arrays: 'a b', integers: `${sizes} total` },
  `const count = Math.min(K, total - this.thread.z * K);
    const quads = Math.floor(count * 0.25);
    for (let q = 0; q < quads; q++) {
      ${[0, 1, 2, 3].map((u) => tileStep(`q * 4 + ${u}`, `v${u}`)).join('\n      ')}
    }
    for (let l = 0; l < count - quads * 4; l++) {
      ${tileStep('INT(quads) * 4 + l', 'v')}
    }`,
);

const plainProduct = (l: string) =>
  `a[INT(matrix) * aStep + INT(i) * aRow + (${l}) * aColumn] * b[INT(matrix) * bStep + (${l}) * bRow + COL * bColumn]`;

/** y = a b, one element per thread: for widths that are no multiple of 4. */
export const matmulPlain = kernel(
  'matmulPlain',
  'rows',
  { arrays: 'a b', integers: `${sizes} M quads`, floats: 'inverseM' },
  `const matrix = Math.floor((ROW + 0.5) * inverseM);
    const i = ROW - matrix * M;
    for (let q = 0; q < quads; q++) {
      y = y + ${[0, 1, 2, 3].map((u) => plainProduct(`q * 4 + ${u}`)).join('\n        + ')};
    }
    for (let l = 0; l < K - quads * 4; l++) {
      y = y + ${plainProduct('quads * 4 + l')};
    }`,
);

// ----- rows of numbers ------------------------------------------------------------------------------------------------

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

/** What `down` rows add to dw; rows from `total` on do not exist. */
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

// ----- optimiser ------------------------------------------------------------------------------------------------------

/** beta * moment + (1 - beta) * gradient, and the same of squares. */
export const firstMoment = kernel(
  'firstMoment',
  'line',
  { arrays: 'm g scale', floats: 'beta rest' },
  'y = beta * m[I] + rest * (g[I] * scale[0]);',
);
export const secondMoment = kernel(
  'secondMoment',
  'line',
  { arrays: 'v g scale', floats: 'beta rest' },
  'y = beta * v[I] + rest * (g[I] * scale[0]) * (g[I] * scale[0]);',
);
/** From the moments already moved on. correction1 = 1 / (1 - beta1^step), correction2 likewise. */
export const adamwStep = kernel(
  'adamwStep',
  'line',
  { arrays: 'p m v', floats: 'lr correction1 correction2 eps keep' },
  'y = p[I] * keep - lr * (m[I] * correction1) / (Math.sqrt(v[I] * correction2) + eps);',
);

/** The rows `ids` of a table multiplied by column `which` of decay [U,3]: what the steps they missed would have done. */
export const decayedRows = kernel(
  'decayedRows',
  'rows',
  { arrays: 'x factors', integers: 'C which' },
  'y = x[ROW * C + COL] * factors[ROW * 5 + which];',
);

/** p f0 - f3 m / (sqrt(v) + f4), where that is not 0 */
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
