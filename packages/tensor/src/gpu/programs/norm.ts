/** @file How root-mean-square normalisation runs on the device. */
import { cellOf, line, rowSizes, rows } from '../calls.ts';
import * as kernels from '../kernels/norm.ts';
import type { Program } from './program.ts';

const rmsNormBackward: Program<'rmsNormBackward'> = (calls, [dx, dw], [x, w, g], { eps }) => {
  const [n, C] = rowSizes(x);
  if (C === 0) return;
  if (n === 0) return calls.fill(cellOf(dw), 0);
  const [cx, cw, cg] = [cellOf(x), cellOf(w), cellOf(g)];
  const r = calls.make(kernels.inverseRms, line(n), [cx], [C, eps]);
  const share = calls.make(kernels.rmsShare, line(n), [cx, cw, cg, r], [C]);
  calls.into(cellOf(dx), kernels.rmsNormBackward, rows(C, n), [cx, cw, cg, r, share], [C]);
  const pieces = Math.min(64, Math.ceil(n / 64));
  const down = Math.ceil(n / pieces);
  if (pieces === 1) return calls.into(cellOf(dw), kernels.rmsWeights, rows(C, 1), [cx, cg, r], [C, down, n]);
  const parts = calls.make(kernels.rmsWeights, rows(C, pieces), [cx, cg, r], [C, down, n]);
  calls.fold('sum', cellOf(dw), parts, 1, pieces, C);
};

export const normPrograms = {
  rmsNorm: ((calls, [y], [x, w], { eps }) => {
    const [n, C] = rowSizes(x);
    if (n === 0) return;
    const r = calls.make(kernels.inverseRms, line(n), [cellOf(x)], [C, eps]);
    calls.into(cellOf(y), kernels.rmsNorm, rows(C, n), [cellOf(x), r, cellOf(w)], [C]);
  }) as Program<'rmsNorm'>,
  rmsNormBackward,
};
