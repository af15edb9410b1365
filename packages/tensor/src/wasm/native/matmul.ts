/** @file Matrix products; see assembly/gemm.ts. */
import { address } from '../machine.ts';
import type { Native } from './call.ts';

export const matmul: Native<'matmul'> = (m, [y], [a, b], { transposeA, transposeB }) => {
  let M = y.shape[y.shape.length - 2];
  let N = y.shape[y.shape.length - 1];
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  let batches = 1;
  for (let i = 0; i < y.shape.length - 2; i++) batches *= y.shape[i];
  // No product at all: nothing to divide among threads.
  if (batches * M * N === 0) return true;
  const { ints } = m;
  let [pa, pb] = [address(a), address(b)];
  let [aStep, bStep] = [M * K * 4, K * N * 4];
  let [am, ak] = transposeA ? [4, M * 4] : [K * 4, 4];
  let [bk, bn] = transposeB ? [4, K * 4] : [N * 4, 4];
  if (N === 1 && M > 1) {
    // A matrix times a column is a row times the transposed matrix, and the result lies in memory the same way.
    [pa, pb, am, ak, bk, bn, M, N, aStep, bStep] = [pb, pa, bn, bk, ak, am, N, M, bStep, aStep];
  }
  ints[0] = pa;
  ints[1] = pb;
  ints[2] = address(y);
  ints[3] = M;
  ints[4] = N;
  ints[5] = K;
  ints[6] = am;
  ints[7] = ak;
  ints[8] = bk;
  ints[9] = bn;
  ints[10] = N * 4;
  ints[11] = 0;
  ints[12] = batches;
  ints[13] = aStep;
  ints[14] = bStep;
  ints[15] = M * N * 4;
  m.call('matmul', batches * M * N * K * 0.04);
  return true;
};
