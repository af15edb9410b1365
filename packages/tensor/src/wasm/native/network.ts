/** @file Softmax, cross-entropy, RMS normalisation, rotary embedding; see assembly/softmax.ts and assembly/norm.ts. */
import type { None } from '../../contract.ts';
import { address } from '../machine.ts';
import { type Native, put, type Run, rowsAndColumns } from './call.ts';

/** Kernels of the form (output, input, rows, columns). */
function rowwise(kernel: string): Run<None> {
  return (m, [y], [x]) => {
    const [rows, columns] = rowsAndColumns(x);
    const { ints } = m;
    ints[0] = address(y);
    ints[1] = address(x);
    ints[2] = rows;
    ints[3] = columns;
    m.call(kernel, rows * columns * 0.8);
    return true;
  };
}

const crossEntropy: Native<'crossEntropy'> = (m, [loss], [logits, targets]) => {
  const [n, V] = logits.shape;
  put(m, [loss, logits, targets], [n, V]);
  m.call('crossEntropy', n * V * 0.7);
  return true;
};

const crossEntropyBackward: Native<'crossEntropyBackward'> = (m, [dx], [logits, targets, g]) => {
  const [n, V] = logits.shape;
  put(m, [dx, logits, targets, g], [n, V]);
  m.call('crossEntropyBackward', n * V * 0.8);
  return true;
};

const rmsNorm: Native<'rmsNorm'> = (m, [y], [x, w], { eps }) => {
  const [rows, C] = rowsAndColumns(x);
  const at = put(m, [y, x, w], [rows, C]);
  m.floats[at] = eps;
  m.call('rmsNorm', rows * C * 0.3);
  return true;
};

/** Runs of rows whose share of dw is summed apart: fixed, so that the bits do not depend on the threads. */
const NORM_CHUNKS = 16;

const rmsNormBackward: Native<'rmsNormBackward'> = (m, [dx, dw], [x, w, g], { eps }) => {
  const [rows, C] = rowsAndColumns(x);
  const width = (C + 3) & ~3;
  m.withTemporary(NORM_CHUNKS * width * 4, (partials) => {
    const { ints, floats } = m;
    ints[0] = address(dx);
    ints[1] = partials;
    ints[2] = address(x);
    ints[3] = address(w);
    ints[4] = address(g);
    ints[5] = rows;
    ints[6] = C;
    floats[7] = eps;
    ints[8] = NORM_CHUNKS;
    m.call('rmsNormBackward', rows * C * 0.9);
    ints[0] = address(dw);
    ints[1] = partials;
    ints[2] = NORM_CHUNKS;
    ints[3] = C;
    ints[4] = width;
    m.call('sumPartialRows', NORM_CHUNKS * C * 0.5);
  });
  return true;
};

const rope: Native<'rope'> = (m, [y], [x, cos, sin, positions], { headDim, inverse }) => {
  const [n, width] = x.shape;
  put(m, [y, x, cos, sin, positions], [n, width, headDim, inverse ? 1 : 0]);
  m.call('rope', n * width * 0.3);
  return true;
};

export const network = {
  softmax: rowwise('softmax'),
  logSoftmax: rowwise('logSoftmax'),
  crossEntropy,
  crossEntropyBackward,
  rmsNorm,
  rmsNormBackward,
  rope,
};
