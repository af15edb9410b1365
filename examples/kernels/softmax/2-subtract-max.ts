/**
 * @file Softmax, rung 2: the largest value is subtracted first, which changes nothing but keeps every power at most 1. It costs a third
 * pass. The shipped kernel has this form, four or eight values at a time.
 */

/** y = e^x / sum e^x over each row: x and y [rows, C]. */
export function subtractMax(x: Float32Array, y: Float32Array, C: number): void {
  for (let row = 0; row < x.length; row += C) {
    let max = x[row];
    for (let i = row + 1; i < row + C; i++) if (x[i] > max) max = x[i];
    let sum = 0;
    for (let i = row; i < row + C; i++) {
      y[i] = Math.exp(x[i] - max);
      sum += y[i];
    }
    const share = 1 / sum;
    for (let i = row; i < row + C; i++) y[i] *= share;
  }
}
