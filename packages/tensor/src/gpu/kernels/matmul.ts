/** @file Kernels of the matrix product. */
import { kernel } from '../kernel-source.ts';

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
