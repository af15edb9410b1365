/** @file The forms of the three kernels that examples/kernels/ climbs. */

/** C = A B: A [M, K], B [K, N], C [M, N]. */
export type Matmul = (a: Float32Array, b: Float32Array, c: Float32Array, M: number, N: number, K: number) => void;

/** y = softmax of each row of x [rows, C]. */
export type Softmax = (x: Float32Array, y: Float32Array, C: number) => void;

/** One head of attention: q [n, D], k and v [m, D], and the keys lo[i] .. hi[i]-1 that row i sees. */
export interface Heads {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly lo: Int32Array;
  readonly hi: Int32Array;
  readonly D: number;
}

/** out [n, D] */
export type Attention = (heads: Heads, out: Float32Array) => void;
