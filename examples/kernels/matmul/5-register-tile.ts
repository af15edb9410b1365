/**
 * @file Matrix product, rung 5: a tile of 2 x 4 sums in registers. Each value that is read is used twice, or four times: 6 reads make 8
 * multiply-adds, where rung 4 needs 5 reads for 4. The shipped kernel has 6 x 16 sums.
 */
import { packPanel } from './4-packed.ts';

/** C = A B, with A [M, K], B [K, N] and C [M, N], row by row. */
export function registerTile(a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number): void {
  const panel = new Float32Array(K * 4);
  const tile = new Float32Array(8);
  for (let j = 0; j < N; j += 4) {
    packPanel(b, j, N, panel);
    for (let i = 0; i < M; i += 2) {
      // After the last row comes the last row again, whose sums are then not stored.
      const rows = Math.min(2, M - i);
      tileOf2x4(a, i * K, (i + rows - 1) * K, panel, tile);
      for (let r = 0; r < rows; r++) {
        for (let s = 0; s < 4 && j + s < N; s++) c[(i + r) * N + j + s] = tile[r * 4 + s];
      }
    }
  }
}

/** Two rows of A, which begin at `first` and `second`, times a panel [K, 4] of B. */
function tileOf2x4(a: Float32Array, first: number, second: number, panel: Float32Array, tile: Float32Array): void {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let [t0, t1, t2, t3] = [0, 0, 0, 0];
  for (let l = 0; l < panel.length; l += 4) {
    const [x, y] = [a[first++], a[second++]];
    const b0 = panel[l];
    const b1 = panel[l + 1];
    const b2 = panel[l + 2];
    const b3 = panel[l + 3];
    s0 += x * b0;
    s1 += x * b1;
    s2 += x * b2;
    s3 += x * b3;
    t0 += y * b0;
    t1 += y * b1;
    t2 += y * b2;
    t3 += y * b3;
  }
  tile[0] = s0;
  tile[1] = s1;
  tile[2] = s2;
  tile[3] = s3;
  tile[4] = t0;
  tile[5] = t1;
  tile[6] = t2;
  tile[7] = t3;
}
