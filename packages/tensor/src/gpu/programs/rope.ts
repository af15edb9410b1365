/** @file How rotary position embedding runs on the device. */
import { cellOf, rows } from '../calls.ts';
import * as kernels from '../kernels/rope.ts';
import type { Program } from './program.ts';

const rope: Program<'rope'> = (calls, [y], [x, cos, sin, positions], { headDim: D, inverse }) => {
  const [n, width] = x.shape;
  const heads = width / D;
  // One row per head: its position is that of the row it came from.
  const perHead = calls.table(cellOf(positions), `each ${heads} times`, (host) =>
    Int32Array.from({ length: host.length * heads }, (_, i) => host[Math.floor(i / heads)]),
  );
  const arrays = [cellOf(x), cellOf(cos), cellOf(sin), perHead];
  calls.into(cellOf(y), kernels.rope, rows(D, n * heads), arrays, [D, D / 2, inverse ? -1 : 1]);
};

export const ropePrograms = {
  rope,
};
