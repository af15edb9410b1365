/**
 * @file Matrix product, rung 3: blocks. All rows of A pass by one block of B before the next block is read, so that the block stays in
 * the cache. Without blocks, all of B comes from memory again for each row of A.
 */

const ROWS = 64;
/** ROWS * COLUMNS floats are 64 KB, and a row of C's block is 1 KB. */
const COLUMNS = 256;

/** C = A B, with A [M, K], B [K, N] and C [M, N], row by row. */
export function blocks(a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number): void {
  c.fill(0);
  for (let j0 = 0; j0 < N; j0 += COLUMNS) {
    const j1 = Math.min(j0 + COLUMNS, N);
    for (let l0 = 0; l0 < K; l0 += ROWS) {
      const l1 = Math.min(l0 + ROWS, K);
      for (let i = 0; i < M; i++) {
        for (let l = l0; l < l1; l++) {
          const x = a[i * K + l];
          for (let j = j0; j < j1; j++) c[i * N + j] += x * b[l * N + j];
        }
      }
    }
  }
}
