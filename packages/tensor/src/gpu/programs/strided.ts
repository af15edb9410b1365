/** @file Running kernels whose operands are read with strides. */
import type { Operand } from '../../backend.ts';
import { sizeOf } from '../../shape.ts';
import { planStrided, type Reading } from '../axes.ts';
import { type Calls, cellOf, rows } from '../calls.ts';
import type { Cell } from '../cell.ts';
import type { KernelSource } from '../kernel-source.ts';

/** Runs a strided kernel: its sizes, then the steps of each operand. */
export function strided(
  calls: Calls,
  k: KernelSource,
  y: Operand,
  arrays: readonly Cell[],
  readings: readonly Reading[],
): void {
  if (sizeOf(y.shape) === 0) return;
  const plan = planStrided(k.name, y.shape, readings);
  calls.into(cellOf(y), k, rows(plan.columns, plan.rows), arrays, [
    ...plan.sizes,
    ...plan.steps.flat(),
    ...plan.sizes.map((size) => 1 / size),
  ]);
}
