/**
 * @file Exercise 9: the gradient of a product. Y = A B has y_ij = sum_k a_ik b_kj. Given G = dL/dY, ask of each a_ik: which y does it touch, and
 * with which factor?
 */
import { hole } from '../hole.ts';

export type Matrix = readonly (readonly number[])[];

/** dA [n, k] and dB [k, m] for A [n, k], B [k, m] and G [n, m]. */
export function matmulGradient(A: Matrix, B: Matrix, G: Matrix): { dA: number[][]; dB: number[][] } {
  return hole(A, B, G);
}
