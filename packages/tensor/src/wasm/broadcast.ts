/** @file Broadcasting operands reduced to rows and columns. */
import { type Shape, sameShape, sizeOf } from '../shape.ts';

/** A matrix [rows, columns] of results, and the steps of each operand in it, in elements; a column step is 0 or 1. */
export interface BroadcastPlan {
  readonly rows: number;
  readonly columns: number;
  readonly steps: readonly { readonly row: number; readonly column: 0 | 1 }[];
}

/**
 * The result y of several operands as a matrix: same shapes, a scalar, a row repeated ([n,C] with [C]), a column repeated ([n,1]),
 * and what falls into one of these when neighbouring axes are merged. Undefined for patterns that need three loops.
 */
export function collapseBroadcast(y: Shape, shapes: readonly Shape[]): BroadcastPlan | undefined {
  if (shapes.every((shape) => sameShape(shape, y))) {
    return { rows: 1, columns: sizeOf(y), steps: shapes.map(() => ({ row: 0, column: 1 })) };
  }
  // Runs of axes over which each operand either moves or stands still.
  const runs: { size: number; moves: boolean[] }[] = [];
  for (let i = 0; i < y.length; i++) {
    if (y[i] === 1) continue;
    const moves = shapes.map((shape) => (shape[i - y.length + shape.length] ?? 1) !== 1);
    const last = runs.at(-1);
    if (last?.moves.every((moving, operand) => moving === moves[operand])) last.size *= y[i];
    else runs.push({ size: y[i], moves });
  }
  if (runs.length > 2) return undefined;
  const columns = runs.at(-1) ?? { size: 1, moves: shapes.map(() => true) };
  const rows = runs.length === 2 ? runs[0] : { size: 1, moves: shapes.map(() => false) };
  return {
    rows: rows.size,
    columns: columns.size,
    steps: shapes.map((_, operand) => ({
      row: rows.moves[operand] ? (columns.moves[operand] ? columns.size : 1) : 0,
      column: columns.moves[operand] ? 1 : 0,
    })),
  };
}
