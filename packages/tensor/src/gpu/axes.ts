/** @file Axes of strided reads, merged as far as all operands allow: a kernel reads one axis of columns and four of rows. */
import { broadcastStrides, type Shape, sizeOf } from '../shape.ts';
import { ROW_AXES } from './kernels/strided.ts';

/** How one operand is read: at offset + sum of index * step. */
export interface Reading {
  readonly offset: number;
  /** One per axis of the result. */
  readonly steps: readonly number[];
}

/** Rows and columns of a strided kernel. `steps[operand]` = offset, column step, four row steps. */
export interface StridedPlan {
  readonly columns: number;
  readonly rows: number;
  /** The sizes of the row axes after the first. */
  readonly sizes: readonly number[];
  readonly steps: readonly (readonly number[])[];
  /** Set if all axes have merged into one: the step of each operand along it. */
  readonly line: readonly number[] | null;
}

/** `shape` read as if it were `out`. */
export const broadcastReading = (shape: Shape, out: Shape): Reading => ({
  offset: 0,
  steps: broadcastStrides(shape, out),
});

/** Row numbers are divided in floats, which is exact below this. */
const MOST_ROWS = 2 ** 22;

/** @throws RangeError if more axes are left than a kernel reads */
export function planStrided(op: string, out: Shape, readings: readonly Reading[]): StridedPlan {
  const sizes: number[] = [];
  const steps: number[][] = readings.map(() => []);
  out.forEach((size, axis) => {
    if (size === 1) return;
    const last = sizes.length - 1;
    // An axis joins the one before it if every operand goes on evenly from one to the other.
    if (last >= 0 && readings.every((r, i) => steps[i][last] === r.steps[axis] * size)) {
      sizes[last] *= size;
      readings.forEach((r, i) => {
        steps[i][last] = r.steps[axis];
      });
    } else {
      sizes.push(size);
      readings.forEach((r, i) => {
        steps[i].push(r.steps[axis]);
      });
    }
  });
  if (sizes.length > ROW_AXES + 1) {
    throw new RangeError(
      `${op}: ${sizes.length} axes are left after merging neighbours, a gpu kernel reads ${ROW_AXES + 1}; reshape or transpose in two steps`,
    );
  }
  const line = sizes.length <= 1 ? steps.map((s) => s[0] ?? 0) : null;
  const columns = sizes.pop() ?? 1;
  const rows = sizeOf(sizes);
  const padding = ROW_AXES - sizes.length;
  if (rows > MOST_ROWS && sizes.length > 1) {
    throw new RangeError(`${op}: ${rows} rows of several axes, a gpu kernel tells ${MOST_ROWS} apart`);
  }
  return {
    columns,
    rows,
    sizes: [...new Array<number>(padding).fill(1), ...sizes].slice(1),
    steps: steps.map((s, i) => {
      const column = s.length > sizes.length ? s[s.length - 1] : 0;
      return [readings[i].offset, column, ...new Array<number>(padding).fill(0), ...s.slice(0, sizes.length)];
    }),
    line,
  };
}
