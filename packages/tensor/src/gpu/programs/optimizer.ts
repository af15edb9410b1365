/** @file How AdamW and the moving average run on the device. */
import type { Operand } from '../../backend.ts';
import type { AdamWAttrs } from '../../contract.ts';
import { sizeOf } from '../../shape.ts';
import { type Calls, cellOf, line, rows } from '../calls.ts';
import { type Cell, hostValues } from '../cell.ts';
import * as kernels from '../kernels/optimizer.ts';
import { gatherRows } from '../kernels/rows.ts';
import type { Program } from './program.ts';
import { putRows } from './rows.ts';

function corrections(a: AdamWAttrs): number[] {
  return [a.lr, 1 / (1 - a.beta1 ** a.step), 1 / (1 - a.beta2 ** a.step), a.eps, 1 - a.lr * a.weightDecay];
}

const adamw: Program<'adamw'> = (calls, _, [p, m, v, g, scale], a) => {
  const all = line(sizeOf(p.shape));
  const [cp, cm, cv, cg, cs] = [p, m, v, g, scale].map(cellOf);
  calls.into(cm, kernels.firstMoment, all, [cm, cg, cs], [a.beta1, 1 - a.beta1]);
  calls.into(cv, kernels.secondMoment, all, [cv, cg, cs], [a.beta2, 1 - a.beta2]);
  calls.into(cp, kernels.adamwStep, all, [cp, cm, cv], corrections(a));
};

/** The touched rows of a table, as a buffer of their own. */
const touchedRows = (calls: Calls, table: Operand, ids: Operand): Cell =>
  calls.make(gatherRows, rows(table.shape[1], ids.shape[0]), [cellOf(table), cellOf(ids)], [table.shape[1]]);

/** The touched rows alone are computed, then copied into the tables. */
const adamwRows: Program<'adamwRows'> = (calls, _, [p, m, v, ids, g, scale], a) => {
  const [U, C] = g.shape;
  if (U * C === 0) return;
  const touched = hostValues(cellOf(ids));
  const all = line(U * C);
  const [cg, cs] = [cellOf(g), cellOf(scale)];
  const m1 = calls.make(kernels.firstMoment, all, [touchedRows(calls, m, ids), cg, cs], [a.beta1, 1 - a.beta1]);
  const v1 = calls.make(kernels.secondMoment, all, [touchedRows(calls, v, ids), cg, cs], [a.beta2, 1 - a.beta2]);
  const p1 = calls.make(kernels.adamwStep, all, [touchedRows(calls, p, ids), m1, v1], corrections(a));
  putRows(calls, m, m1, touched);
  putRows(calls, v, v1, touched);
  putRows(calls, p, p1, touched);
};

const adamwCatchUp: Program<'adamwCatchUp'> = (calls, _, [p, m, v, ids, factors]) => {
  const [U, C] = [ids.shape[0], p.shape[1]];
  if (U * C === 0) return;
  const touched = hostValues(cellOf(ids));
  const [cp, cm, cv] = [p, m, v].map((table) => touchedRows(calls, table, ids));
  const cf = cellOf(factors);
  const p1 = calls.make(kernels.caughtUp, rows(C, U), [cp, cm, cv, cf], [C]);
  const decayed = (x: Cell, which: number) => calls.make(kernels.decayedRows, rows(C, U), [x, cf], [C, which]);
  const m1 = decayed(cm, 1);
  const v1 = decayed(cv, 2);
  putRows(calls, p, p1, touched);
  putRows(calls, m, m1, touched);
  putRows(calls, v, v1, touched);
};

export const optimizerPrograms = {
  adamw,
  adamwRows,
  adamwCatchUp,
  lerp: ((calls, _, [a, b], { weight }) =>
    calls.into(cellOf(a), kernels.lerp, line(sizeOf(a.shape)), [cellOf(a), cellOf(b)], [weight])) as Program<'lerp'>,
};
