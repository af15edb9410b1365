/** @file Broadcasting two operands reduced to rows and columns. */
import { type Shape, sizeOf } from '../shape.ts';

/** A matrix [rows, columns] of results; steps are in elements, a column step is 0 or 1. */
export interface BroadcastPlan {
  rows: number;
  columns: number;
  aRow: number;
  aColumn: 0 | 1;
  bRow: number;
  bColumn: 0 | 1;
}

const equal = (a: Shape, b: Shape): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

/**
 * The result y = a op b as a matrix: same shapes, a scalar, a row repeated ([n,C] with [C]), a column repeated ([n,1]),
 * and what falls into one of these when neighbouring axes are merged. Undefined for patterns that need three loops.
 */
export function collapseBroadcast(y: Shape, a: Shape, b: Shape): BroadcastPlan | undefined {
  if (equal(a, y) && equal(b, y)) return { rows: 1, columns: sizeOf(y), aRow: 0, aColumn: 1, bRow: 0, bColumn: 1 };
  // Runs of axes over which each operand either moves or stands still.
  const runs: { size: number; a: boolean; b: boolean }[] = [];
  for (let i = 0; i < y.length; i++) {
    if (y[i] === 1) continue;
    const moves = { a: (a[i - y.length + a.length] ?? 1) !== 1, b: (b[i - y.length + b.length] ?? 1) !== 1 };
    const last = runs.at(-1);
    if (last !== undefined && last.a === moves.a && last.b === moves.b) last.size *= y[i];
    else runs.push({ size: y[i], ...moves });
  }
  if (runs.length > 2) return undefined;
  const columns = runs.at(-1) ?? { size: 1, a: true, b: true };
  const rows = runs.length === 2 ? runs[0] : { size: 1, a: false, b: false };
  return {
    rows: rows.size,
    columns: columns.size,
    aRow: rows.a ? (columns.a ? columns.size : 1) : 0,
    aColumn: columns.a ? 1 : 0,
    bRow: rows.b ? (columns.b ? columns.size : 1) : 0,
    bColumn: columns.b ? 1 : 0,
  };
}
