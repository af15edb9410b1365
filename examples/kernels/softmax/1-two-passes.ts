/** @file Softmax, rung 1: the definition in two passes. It overflows where e^x does, from x = 89 on in 32 bits. */

/** y = e^x / sum e^x over each row: x and y [rows, C]. */
export function twoPasses(x: Float32Array, y: Float32Array, C: number): void {
  for (let row = 0; row < x.length; row += C) {
    let sum = 0;
    for (let i = row; i < row + C; i++) {
      y[i] = Math.exp(x[i]);
      sum += y[i];
    }
    for (let i = row; i < row + C; i++) y[i] /= sum;
  }
}
