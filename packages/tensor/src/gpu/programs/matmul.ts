/** @file How the matrix product runs on the device. */
import { sizeOf } from '../../shape.ts';
import { cellOf, rows } from '../calls.ts';
import * as kernels from '../kernels/matmul.ts';
import type { Program } from './program.ts';

/** Rows of the result from which a copy of b, transposed so that neighbouring threads read neighbours, pays. */
const MANY_ROWS = 64;

/** A GPU wants this many threads. Sums longer than `PIECE` are cut into pieces, side by side, until there are as many. */
const THREADS = 2 ** 16;

const PIECE = 256;

const matmul: Program<'matmul'> = (calls, [y], [a, b], { transposeA, transposeB }) => {
  const [M, N] = y.shape.slice(-2);
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  const matrices = sizeOf(y.shape.slice(0, -2));
  if (sizeOf(y.shape) === 0) return;
  if (K === 0) return calls.fill(cellOf(y), 0);
  const aStrides = transposeA ? [1, M] : [K, 1]; // row, column
  if (N % 4 !== 0 || !calls.queue.driver.tiles) {
    const strides = [M * K, ...aStrides, K * N, ...(transposeB ? [1, K] : [N, 1])];
    const scalars = [K, ...strides, M, Math.floor(K / 4), 1 / M];
    return calls.into(cellOf(y), kernels.matmulPlain, rows(N, matrices * M), [a, b].map(cellOf), scalars);
  }
  const turned = transposeB && M >= MANY_ROWS;
  const factors = [cellOf(a), turned ? calls.transposed(cellOf(b), matrices, N, K) : cellOf(b)];
  const bStrides = transposeB && !turned ? [1, K] : [N, 1];
  const wanted = matrices > 1 ? 1 : Math.min(Math.ceil(THREADS / (M * (N / 4))), Math.floor(K / PIECE));
  if (wanted <= 1) {
    const scalars = [K, M * K, ...aStrides, K * N, ...bStrides, K * matrices];
    return calls.into(
      cellOf(y),
      kernels.matmulTile,
      { grid: 'tiles', columns: N, rows: M, matrices },
      factors,
      scalars,
    );
  }
  const length = Math.ceil(K / wanted);
  const pieces = Math.ceil(K / length);
  const scalars = [length, length * aStrides[1], ...aStrides, length * bStrides[0], ...bStrides, K];
  const parts = calls.make(
    kernels.matmulTile,
    { grid: 'tiles', columns: N, rows: M, matrices: pieces },
    factors,
    scalars,
  );
  calls.fold('sum', cellOf(y), parts, 1, pieces, M * N);
};

export const matmulPrograms = {
  matmul,
};
