/** @file A solution of exercise 20. */

type Values = Float32Array | Float64Array | Int32Array;

export function rmsNorm(y: Values, x: Values, w: Values, eps: number): void {
  const C = w.length;
  for (let at = 0; at < x.length; at += C) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x[at + c] ** 2;
    const r = 1 / Math.sqrt(squares / C + eps);
    for (let c = 0; c < C; c++) y[at + c] = x[at + c] * r * w[c];
  }
}
