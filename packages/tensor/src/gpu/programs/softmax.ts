/** @file How softmax and cross-entropy run on the device. */
import { type Calls, cellOf, line, rowSizes, rows } from '../calls.ts';
import type { Cell } from '../cell.ts';
import { foldLast } from '../kernels/reduce.ts';
import * as kernels from '../kernels/softmax.ts';
import type { Program } from './program.ts';

/** Largest value and ln sum_c e^(x_c - max) of each row: apart, since both may be huge and their difference is not. */
function rowStatistics(calls: Calls, x: Cell, n: number, C: number): { max: Cell; logSum: Cell } {
  const max = calls.make(foldLast.max, line(n), [x], [C]);
  return { max, logSum: calls.make(kernels.rowLogSum, line(n), [x, max], [C]) };
}

export const softmaxPrograms = {
  softmax: ((calls, [y], [x]) => {
    const [n, C] = rowSizes(x);
    const { max, logSum } = rowStatistics(calls, cellOf(x), n, C);
    calls.into(cellOf(y), kernels.softmax, rows(C, n), [cellOf(x), max, logSum], [C]);
  }) as Program<'softmax'>,
  logSoftmax: ((calls, [y], [x]) => {
    const [n, C] = rowSizes(x);
    const { max, logSum } = rowStatistics(calls, cellOf(x), n, C);
    calls.into(cellOf(y), kernels.logSoftmax, rows(C, n), [cellOf(x), max, logSum], [C]);
  }) as Program<'logSoftmax'>,
  crossEntropy: ((calls, [loss], [logits, targets]) => {
    const [n, V] = logits.shape;
    const { max, logSum } = rowStatistics(calls, cellOf(logits), n, V);
    calls.into(cellOf(loss), kernels.crossEntropy, line(n), [cellOf(logits), max, logSum, cellOf(targets)], [V]);
  }) as Program<'crossEntropy'>,
  crossEntropyBackward: ((calls, [dx], [logits, targets, g]) => {
    const [n, V] = logits.shape;
    const { max, logSum } = rowStatistics(calls, cellOf(logits), n, V);
    const arrays = [cellOf(logits), max, logSum, cellOf(targets), cellOf(g)];
    calls.into(cellOf(dx), kernels.crossEntropyBackward, rows(V, n), arrays, [V]);
  }) as Program<'crossEntropyBackward'>,
};
