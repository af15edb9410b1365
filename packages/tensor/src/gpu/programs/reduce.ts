/** @file How reductions run on the device. */
import type { Operand } from '../../backend.ts';
import { reducedRuns, sizeOf } from '../../shape.ts';
import { type Calls, cellOf, line, rows } from '../calls.ts';
import { affine } from '../kernels/elementwise.ts';
import { deviations, type Fold } from '../kernels/reduce.ts';
import type { Plain, Program } from './program.ts';

/** Folds run after run, from the last. */
function reduce(
  fold: Fold,
): (calls: Calls, outs: readonly Operand[], ins: readonly Operand[], axes: readonly number[]) => void {
  return (calls, [y], [x], axes) => {
    const runs = reducedRuns(x.shape, axes);
    let from = cellOf(x);
    if (!runs.some((run) => run.reduced)) return calls.copy(cellOf(y), from);
    const before = (at: number) => runs.slice(0, at).reduce((n, run) => n * run.size, 1);
    for (let at = runs.length - 1; at >= 0; at--) {
      if (!runs[at].reduced) continue;
      const outer = before(at);
      const inner = runs.slice(at + 1).reduce((n, run) => n * run.size, 1);
      const last = !runs.slice(0, at).some((run) => run.reduced);
      const target = last ? cellOf(y) : calls.temporary(outer * inner);
      calls.fold(fold, target, from, outer, runs[at].size, inner);
      from = target;
      runs.splice(at, 1);
    }
  };
}

const [foldSum, foldMax] = [reduce('sum'), reduce('max')];

const variance: Program<'variance'> = (calls, [y], [x], { correction }) => {
  const [n, C] = [sizeOf(y.shape), x.shape.at(-1)!];
  const [sums, squares] = [calls.temporary(n), calls.temporary(n)];
  calls.fold('sum', sums, cellOf(x), n, C, 1);
  calls.fold('squares', squares, calls.make(deviations, rows(C, n), [cellOf(x), sums], [C]), n, C, 1);
  calls.into(cellOf(y), affine, line(n), [squares], [1 / Math.max(0, C - correction), 0]);
};

export const reducePrograms = {
  sum: ((calls, outs, ins, { axes }) => foldSum(calls, outs, ins, axes)) as Program<'sum'>,
  max: ((calls, outs, ins, { axes }) => foldMax(calls, outs, ins, axes)) as Program<'max'>,
  sumSquares: ((calls, [y], [x]) => calls.fold('squares', cellOf(y), cellOf(x), 1, sizeOf(x.shape), 1)) as Plain,
  variance,
};
