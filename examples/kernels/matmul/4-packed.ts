/**
 * @file Matrix product, rung 4: packing. Four columns of B are copied side by side into a panel, which the inner loop reads from front
 * to back. Four sums stay in registers while K runs, so that C is written once and not K times.
 */

/** Columns j .. j+3 of B as a panel [K, 4]. Columns beyond the last are 0. */
export function packPanel(b: Float32Array, j: number, N: number, panel: Float32Array): void {
  for (let l = 0; l * 4 < panel.length; l++) {
    for (let s = 0; s < 4; s++) panel[l * 4 + s] = j + s < N ? b[l * N + j + s] : 0;
  }
}

/** C = A B, with A [M, K], B [K, N] and C [M, N], row by row. */
export function packed(a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number): void {
  const panel = new Float32Array(K * 4);
  for (let j = 0; j < N; j += 4) {
    packPanel(b, j, N, panel);
    for (let i = 0; i < M; i++) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let l = 0; l < K; l++) {
        const x = a[i * K + l];
        s0 += x * panel[l * 4];
        s1 += x * panel[l * 4 + 1];
        s2 += x * panel[l * 4 + 2];
        s3 += x * panel[l * 4 + 3];
      }
      const row = c.subarray(i * N + j, i * N + Math.min(j + 4, N));
      row.set([s0, s1, s2, s3].slice(0, row.length));
    }
  }
}
