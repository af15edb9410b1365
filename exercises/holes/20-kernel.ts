/**
 * @file Exercise 20: a kernel. A backend of this library runs kernels on arrays. Write root-mean-square normalisation as loops. For each row of C
 * values: y_c = x_c * w_c / sqrt(mean of x^2 + eps). Your kernel takes the place of ours, and the laws that test ours test yours.
 */
import { hole } from '../hole.ts';

type Values = Float32Array | Float64Array | Int32Array;

/** Fills y. x and y hold rows of w.length values, one after the other. x and w stay as they are. There may be no rows. */
export function rmsNorm(y: Values, x: Values, w: Values, eps: number): void {
  hole(y, x, w, eps);
}
