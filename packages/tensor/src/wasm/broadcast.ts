/** @file Broadcasting operands reduced to rows and columns. */
import { type Shape, sameShape, sizeOf } from '../shape.ts';

/** A matrix [rows, columns] of results, and the steps of each operand in it, in elements; a column step is 0 or 1. */
export interface BroadcastPlan {
  readonly rows: number;
  readonly columns: number;
  readonly steps: readonly { readonly row: number; readonly column: 0 | 1 }[];
}

const EACH = { row: 0, column: 1 } as const;
const ALL = [EACH, EACH, EACH];

/** Operands of the shape of the result. */
export const oneRow = (columns: number): BroadcastPlan => ({ rows: 1, columns, steps: ALL });

/**
 * The result y of several operands as a matrix: same shapes, a scalar, a row repeated ([n,C] with [C]), a column repeated ([n,1]),
 * and what falls into one of these when neighbouring axes are merged. Undefined for patterns that need three loops.
 */
export function collapseBroadcast(y: Shape, operands: readonly { shape: Shape }[]): BroadcastPlan | undefined {
  if (operands.every(({ shape }) => sameShape(shape, y))) return oneRow(sizeOf(y));
  // Runs of axes over which each operand either moves or stands still.
  const runs: { size: number; moves: boolean[] }[] = [];
  for (let i = 0; i < y.length; i++) {
    if (y[i] === 1) continue;
    const moves = operands.map(({ shape }) => (shape[i - y.length + shape.length] ?? 1) !== 1);
    const last = runs.at(-1);
    if (last?.moves.every((moving, operand) => moving === moves[operand])) last.size *= y[i];
    else runs.push({ size: y[i], moves });
  }
  if (runs.length > 2) return undefined;
  const columns = runs.at(-1) ?? { size: 1, moves: operands.map(() => true) };
  const rows = runs.length === 2 ? runs[0] : { size: 1, moves: operands.map(() => false) };
  return {
    rows: rows.size,
    columns: columns.size,
    steps: operands.map((_, operand) => ({
      row: rows.moves[operand] ? (columns.moves[operand] ? columns.size : 1) : 0,
      column: columns.moves[operand] ? 1 : 0,
    })),
  };
}
