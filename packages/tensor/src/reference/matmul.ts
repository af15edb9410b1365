/** @file Definition of the matrix product. */
import { sizeOf } from '../shape.ts';
import type { CpuKernel } from './view.ts';

/** Products are summed in 64 bits, in rising l, and rounded once. */
const matmul: CpuKernel<'matmul'> = ([y], [a, b], { transposeA, transposeB }) => {
  const M = y.shape.at(-2)!;
  const N = y.shape.at(-1)!;
  const K = a.shape.at(transposeA ? -2 : -1)!;
  const [aRow, aCol] = transposeA ? [1, M] : [K, 1];
  const [bRow, bCol] = transposeB ? [1, K] : [N, 1];
  const batches = sizeOf(y.shape.slice(0, -2));
  for (let batch = 0; batch < batches; batch++) {
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let total = 0;
        let ia = batch * M * K + i * aRow;
        let ib = batch * K * N + j * bCol;
        for (let l = 0; l < K; l++) {
          total += a.data[ia] * b.data[ib];
          ia += aCol;
          ib += bRow;
        }
        y.data[(batch * M + i) * N + j] = total;
      }
    }
  }
};

export const matmulKernels = { matmul };
