/**
 * @file Matrix product, rung 2: the loop over K moves outwards. The inner loop then reads B and writes C in the order of memory, so
 * that each cache line is used whole. Rung 1 jumps N floats ahead at every step.
 */

/** C = A B, with A [M, K], B [K, N] and C [M, N], row by row. */
export function loopOrder(a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number): void {
  c.fill(0);
  for (let i = 0; i < M; i++) {
    for (let l = 0; l < K; l++) {
      const x = a[i * K + l];
      for (let j = 0; j < N; j++) c[i * N + j] += x * b[l * N + j];
    }
  }
}
