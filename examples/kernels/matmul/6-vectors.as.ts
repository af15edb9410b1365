/**
 * @file Matrix product, rung 6: vectors, in AssemblyScript. One instruction works on four floats, and nothing is converted to 64 bits.
 * A tile of 4 x 8 sums fills 8 registers: 4 + 2 reads make 8 vector multiply-adds, which are 32 for single floats.
 */

/** Four rows of A, `row` bytes apart, times a panel [K, 8] of B, into four rows of C, `rowC` bytes apart. */
function tileOf4x8(K: i32, a: usize, row: usize, panel: usize, c: usize, rowC: usize): void {
  let s0 = f32x4.splat(0), s1 = s0, t0 = s0, t1 = s0, u0 = s0, u1 = s0, w0 = s0, w1 = s0;
  for (let l = 0; l < K; l++) {
    const b0 = v128.load(panel), b1 = v128.load(panel, 16);
    let x = v128.load32_splat(a);
    s0 = f32x4.add(s0, f32x4.mul(x, b0));
    s1 = f32x4.add(s1, f32x4.mul(x, b1));
    x = v128.load32_splat(a + row);
    t0 = f32x4.add(t0, f32x4.mul(x, b0));
    t1 = f32x4.add(t1, f32x4.mul(x, b1));
    x = v128.load32_splat(a + 2 * row);
    u0 = f32x4.add(u0, f32x4.mul(x, b0));
    u1 = f32x4.add(u1, f32x4.mul(x, b1));
    x = v128.load32_splat(a + 3 * row);
    w0 = f32x4.add(w0, f32x4.mul(x, b0));
    w1 = f32x4.add(w1, f32x4.mul(x, b1));
    panel += 32;
    a += 4;
  }
  v128.store(c, s0);
  v128.store(c, s1, 16);
  v128.store(c + rowC, t0);
  v128.store(c + rowC, t1, 16);
  v128.store(c + 2 * rowC, u0);
  v128.store(c + 2 * rowC, u1, 16);
  v128.store(c + 3 * rowC, w0);
  v128.store(c + 3 * rowC, w1, 16);
}

/** C = A B with A [M, K], B as panels [N / 8, K, 8] and C [M, N]. M is a multiple of 4, and N of 8. */
export function product(M: i32, N: i32, K: i32, a: usize, panels: usize, c: usize): void {
  const row = <usize>K << 2, rowC = <usize>N << 2;
  for (let j = 0; j < N; j += 8) {
    const panel = panels + j * row;
    for (let i = 0; i < M; i += 4) tileOf4x8(K, a + i * row, row, panel, c + i * rowC + (<usize>j << 2), rowC);
  }
}
