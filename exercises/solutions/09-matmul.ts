/** @file A solution of exercise 9: dA = G B^T and dB = A^T G. */

export type Matrix = readonly (readonly number[])[];

const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);

export function matmulGradient(A: Matrix, B: Matrix, G: Matrix): { dA: number[][]; dB: number[][] } {
  return {
    dA: A.map((row, i) => row.map((_, k) => sum(G[i].map((g, j) => g * B[k][j])))),
    dB: B.map((row, k) => row.map((_, j) => sum(G.map((g, i) => A[i][k] * g[j])))),
  };
}
