/** @file Walking over arrays that broadcast against one another, one element at a time. */
import { broadcastStrides, type Shape } from '../shape.ts';

/** Calls `visit(i, offsets)` for every element i of `out`, with the matching offset in each input. */
export function eachBroadcast(
  out: Shape,
  shapes: readonly Shape[],
  visit: (i: number, offsets: number[]) => void,
): void {
  const strides = shapes.map((s) => broadcastStrides(s, out));
  const index = out.map(() => 0);
  const offsets = shapes.map(() => 0);
  const n = out.reduce((a, b) => a * b, 1);
  for (let i = 0; i < n; i++) {
    visit(i, offsets);
    for (let axis = out.length - 1; axis >= 0; axis--) {
      index[axis]++;
      for (let t = 0; t < shapes.length; t++) offsets[t] += strides[t][axis];
      if (index[axis] < out[axis]) break;
      for (let t = 0; t < shapes.length; t++) offsets[t] -= strides[t][axis] * out[axis];
      index[axis] = 0;
    }
  }
}
