/** @file The matrix product; see assembly/matmul/kernel.ts. */
import * as args from '../arguments/matmul.ts';
import { address } from '../runtime.ts';
import type { Binding } from './binding.ts';

const matmul: Binding<'matmul'> = (runtime, [y], [a, b], { transposeA, transposeB }) => {
  let M = y.shape[y.shape.length - 2];
  let N = y.shape[y.shape.length - 1];
  const K = a.shape[a.shape.length - (transposeA ? 2 : 1)];
  let batches = 1;
  for (let i = 0; i < y.shape.length - 2; i++) batches *= y.shape[i];
  // No product at all: nothing to divide among threads.
  if (batches * M * N === 0) return true;
  const { ints, kernels } = runtime;
  let [pa, pb] = [address(a), address(b)];
  let [aStep, bStep] = [M * K * 4, K * N * 4];
  let [am, ak] = transposeA ? [4, M * 4] : [K * 4, 4];
  let [bk, bn] = transposeB ? [4, K * 4] : [N * 4, 4];
  if (N === 1 && M > 1) {
    // A matrix times a column is a row times the transposed matrix, and the result lies in memory the same way.
    [pa, pb, am, ak, bk, bn, M, N, aStep, bStep] = [pb, pa, bn, bk, ak, am, N, M, bStep, aStep];
  }
  ints[args.a] = pa;
  ints[args.b] = pb;
  ints[args.c] = address(y);
  ints[args.M] = M;
  ints[args.N] = N;
  ints[args.K] = K;
  ints[args.am] = am;
  ints[args.ak] = ak;
  ints[args.bk] = bk;
  ints[args.bn] = bn;
  ints[args.cm] = N * 4;
  ints[args.add] = 0;
  ints[args.batches] = batches;
  ints[args.fewRows] = runtime.batchInvariant ? 0 : 1;
  ints[args.aStep] = aStep;
  ints[args.bStep] = bStep;
  ints[args.cStep] = M * N * 4;
  runtime.call(kernels.matmul, batches * M * N * K * 0.04);
  return true;
};

export const matmulBindings = { matmul };
