/** @file A tensor as text, and as arrays in arrays. */
import { type DType, formatShape, type Shape } from './shape.ts';

/** Entries shown at either end of a long axis. */
const EDGE = 3;

function number(value: number, dtype: DType): string {
  if (dtype === 'i32' || !Number.isFinite(value)) return String(value);
  const magnitude = Math.abs(value);
  return magnitude !== 0 && (magnitude < 1e-3 || magnitude >= 1e5) ? value.toExponential(3) : value.toFixed(4);
}

/** Numbers in arrays of equal depth and lengths. */
export type Nested = number | readonly Nested[];

/** Row-major values as arrays in arrays, one level for each axis. */
export function nested(shape: Shape, values: ArrayLike<number>): Nested {
  const axis = (depth: number, offset: number, step: number): Nested => {
    if (depth === shape.length) return values[offset];
    const inner = step / (shape[depth] || 1);
    return Array.from({ length: shape[depth] }, (_, i) => axis(depth + 1, offset + i * inner, inner));
  };
  return axis(0, 0, values.length);
}

/** `Tensor(f32 [2,3]) [[..., ...], ...]`: axes longer than 6 show their first and last three entries. */
export function format(dtype: DType, shape: Shape, values: ArrayLike<number>): string {
  const axis = (depth: number, offset: number, step: number): string => {
    if (depth === shape.length) return number(values[offset], dtype);
    const n = shape[depth];
    const inner = n === 0 ? 0 : step / n;
    const parts: string[] = [];
    for (let i = 0; i < n; i++) {
      if (n > 2 * EDGE && i === EDGE) {
        parts.push('...');
        i = n - EDGE;
      }
      parts.push(axis(depth + 1, offset + i * inner, inner));
    }
    const separator = depth === shape.length - 1 ? ', ' : `,\n${' '.repeat(depth + 1)}`;
    return `[${parts.join(separator)}]`;
  };
  return `Tensor(${dtype} ${formatShape(shape)}) ${axis(0, 0, values.length)}`;
}
