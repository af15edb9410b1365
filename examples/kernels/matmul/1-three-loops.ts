/** @file Matrix product, rung 1: the definition. Each element of C is a row of A times a column of B. */

/** C = A B, with A [M, K], B [K, N] and C [M, N], row by row. */
export function threeLoops(a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number): void {
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) {
      let total = 0;
      for (let l = 0; l < K; l++) total += a[i * K + l] * b[l * N + j];
      c[i * N + j] = total;
    }
  }
}
