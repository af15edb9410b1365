/** @file Embeddings, their gradients, and segments; see assembly/rows.ts. */
import { sizeOf } from '../../shape.ts';
import * as args from '../arguments/rows.ts';
import { address } from '../runtime.ts';
import type { Binding } from './binding.ts';

const gatherRows: Binding<'gatherRows'> = (runtime, [y], [table, ids]) => {
  const { ints, kernels } = runtime;
  const [n, C] = y.shape;
  ints[args.y] = address(y);
  ints[args.table] = address(table);
  ints[args.ids] = address(ids);
  ints[args.n] = n;
  ints[args.C] = C;
  runtime.call(kernels.gatherRows, n * C * 0.1);
  return true;
};

const scatterAddRows: Binding<'scatterAddRows'> = (runtime, [y], [x, ids]) => {
  const { ints, kernels } = runtime;
  const [n, C] = x.shape;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.ids] = address(ids);
  ints[args.n] = n;
  ints[args.rows] = y.shape[0];
  ints[args.C] = C;
  runtime.call(kernels.scatterAddRows, (n + y.shape[0]) * C * 0.2);
  return true;
};

const embeddingBag: Binding<'embeddingBag'> = (runtime, [y], [table, ids]) => {
  const { ints, kernels } = runtime;
  const [n, G] = ids.shape;
  const C = y.shape[1];
  ints[args.y] = address(y);
  ints[args.table] = address(table);
  ints[args.ids] = address(ids);
  ints[args.n] = n;
  ints[args.C] = C;
  ints[args.G] = G;
  runtime.call(kernels.embeddingBag, n * C * G * 0.3);
  return true;
};

const segmentGatherSum: Binding<'segmentGatherSum'> = (runtime, [y], [x, entries, starts]) => {
  const { ints, kernels } = runtime;
  const [U, C] = y.shape;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.entries] = address(entries);
  ints[args.starts] = address(starts);
  ints[args.U] = U;
  ints[args.C] = C;
  runtime.call(kernels.segmentGatherSum, entries.shape[0] * C * 0.2);
  return true;
};

const segmentMax: Binding<'segmentMax'> = (runtime, [y], [x, starts]) => {
  const { ints, kernels } = runtime;
  const [P, C] = y.shape;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.starts] = address(starts);
  ints[args.P] = P;
  ints[args.C] = C;
  runtime.call(kernels.segmentMax, sizeOf(x.shape) * 0.4);
  return true;
};

const segmentMaxBackward: Binding<'segmentMaxBackward'> = (runtime, [dx], [x, y, g, starts]) => {
  const { ints, kernels } = runtime;
  const [P, C] = y.shape;
  ints[args.dx] = address(dx);
  ints[args.x] = address(x);
  ints[args.y] = address(y);
  ints[args.g] = address(g);
  ints[args.starts] = address(starts);
  ints[args.n] = x.shape[0];
  ints[args.P] = P;
  ints[args.C] = C;
  runtime.call(kernels.segmentMaxBackward, sizeOf(x.shape) * 0.4);
  return true;
};

const writeRows: Binding<'writeRows'> = (runtime, _, [table, ids, x]) => {
  const { ints, kernels } = runtime;
  const [n, C] = x.shape;
  ints[args.table] = address(table);
  ints[args.ids] = address(ids);
  ints[args.x] = address(x);
  ints[args.n] = n;
  ints[args.C] = C;
  // On one thread. Ids are meant to be unique, but nothing checks it; a row named twice gets the last value, as in the definition.
  runtime.call(kernels.writeRows, 0);
  return true;
};

export const rowsBindings = {
  gatherRows,
  scatterAddRows,
  embeddingBag,
  segmentGatherSum,
  segmentMax,
  segmentMaxBackward,
  writeRows,
};
