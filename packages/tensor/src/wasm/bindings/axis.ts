/** @file Kernels along the last axis; see assembly/axis.ts. */
import * as args from '../arguments/axis.ts';
import { address } from '../runtime.ts';
import { type Binding, rowsAndColumns } from './binding.ts';

const cumsum: Binding<'cumsum'> = (runtime, [y], [x], { reverse }) => {
  const { ints, kernels } = runtime;
  const [rows, n] = rowsAndColumns(x);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.rows] = rows;
  ints[args.n] = n;
  ints[args.reverse] = Number(reverse);
  runtime.call(kernels.cumsum, rows * n);
  return true;
};

const argsort: Binding<'argsort'> = (runtime, [y], [x], { descending, count }) => {
  const [rows, n] = rowsAndColumns(x);
  runtime.withTemporary(n * 16, (work) => {
    const { ints, kernels } = runtime;
    ints[args.y] = address(y);
    ints[args.x] = address(x);
    ints[args.rows] = rows;
    ints[args.n] = n;
    ints[args.reverse] = Number(descending);
    ints[args.count] = count;
    ints[args.work] = work;
    // On one thread, whose working memory it is.
    runtime.call(kernels.argsort, 0);
  });
  return true;
};

const gatherAxis: Binding<'gatherAxis'> = (runtime, [y], [x, ids]) => {
  const { ints, kernels } = runtime;
  const [rows, m] = rowsAndColumns(ids);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.ids] = address(ids);
  ints[args.rows] = rows;
  ints[args.n] = rowsAndColumns(x)[1];
  ints[args.m] = m;
  runtime.call(kernels.gatherAxis, rows * m);
  return true;
};

const scatterAddAxis: Binding<'scatterAddAxis'> = (runtime, [y], [x, ids]) => {
  const { ints, kernels } = runtime;
  const [rows, n] = rowsAndColumns(y);
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.ids] = address(ids);
  ints[args.rows] = rows;
  ints[args.n] = n;
  ints[args.m] = rowsAndColumns(ids)[1];
  runtime.call(kernels.scatterAddAxis, rows * (n + ints[args.m]));
  return true;
};

export const axisBindings = { cumsum, argsort, gatherAxis, scatterAddAxis };
