/** @file Sums; see assembly/reduce.ts. */
import type { Operand } from '../../backend.ts';
import { sizeOf } from '../../shape.ts';
import * as args from '../arguments/reduce.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding } from './binding.ts';

/** Sums over one run of neighbouring axes, as [outer, summed, inner]. */
const sum: Binding<'sum'> = (runtime, [y], [x], { axes }) => {
  const rank = x.shape.length;
  const sorted = axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  if (sorted.some((a, i) => a !== sorted[0] + i)) return false;
  const first = sorted.length === 0 ? rank : sorted[0];
  const last = first + sorted.length;
  const outer = sizeOf(x.shape.slice(0, first));
  const n = sizeOf(x.shape.slice(first, last));
  const inner = sizeOf(x.shape.slice(last));
  if (outer === 1 && inner === 1) return sumAll(runtime, y, x, n, 0);
  const { ints, kernels } = runtime;
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.outer] = outer;
  ints[args.n] = n;
  ints[args.inner] = inner;
  runtime.call(inner === 1 ? kernels.sumLast : kernels.sumMiddle, outer * n * inner * 0.4);
  return true;
};

/** Elements per partial sum: CHUNK of assembly/reduce.ts. */
const CHUNK = 16384;

/** The sum of all n elements, or of their squares, by partial sums in 64 bits. */
function sumAll(runtime: WasmRuntime, y: Operand, x: Operand, n: number, squares: 0 | 1): boolean {
  const count = Math.ceil(n / CHUNK);
  runtime.withTemporary(count * 8, (partials) => {
    const { ints, kernels } = runtime;
    ints[args.partials] = partials;
    ints[args.x] = address(x);
    ints[args.n] = n;
    ints[args.squares] = squares;
    runtime.call(kernels.sumChunks, n * 0.25);
    ints[args.y] = address(y);
    ints[args.count] = count;
    runtime.call(kernels.sumPartials, 0);
  });
  return true;
}

const sumSquares: Binding<'sumSquares'> = (runtime, [y], [x]) => sumAll(runtime, y, x, sizeOf(x.shape), 1);

export const reduceBindings = { sum, sumSquares };
