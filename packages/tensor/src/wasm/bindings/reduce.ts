/** @file Sums, maxima and variances; see assembly/reduce.ts. */
import type { Operand } from '../../backend.ts';
import { reducedRuns, sizeOf } from '../../shape.ts';
import * as args from '../arguments/reduce.ts';
import { address, type WasmRuntime } from '../runtime.ts';
import type { Binding, Run } from './binding.ts';

/** y [outer, inner] from x [outer, n, inner]. */
type Fold = (runtime: WasmRuntime, y: number, x: number, outer: number, n: number, inner: number) => void;

const fold =
  (last: 'sumLast' | 'maxLast', middle: 'sumMiddle' | 'maxMiddle'): Fold =>
  (runtime, y, x, outer, n, inner) => {
    const { ints, kernels } = runtime;
    ints[args.y] = y;
    ints[args.x] = x;
    ints[args.outer] = outer;
    ints[args.n] = n;
    ints[args.inner] = inner;
    runtime.call(inner === 1 ? kernels[last] : kernels[middle], outer * n * inner * 0.4);
  };

const foldMax = fold('maxLast', 'maxMiddle');
const foldRuns = fold('sumLast', 'sumMiddle');
const foldSum: Fold = (runtime, y, x, outer, n, inner) => {
  if (outer === 1 && inner === 1) sumAll(runtime, y, x, n, 0);
  else foldRuns(runtime, y, x, outer, n, inner);
};

/** Folds one run of neighbouring axes after the other, from the last. */
const reduction =
  (foldRun: Fold): Run<{ axes: readonly number[] }> =>
  (runtime, [y], [x], { axes }) => {
    const runs = reducedRuns(x.shape, axes);
    const sizes = runs.map(({ size }) => size);
    const at = runs.map(({ reduced }) => reduced).lastIndexOf(true);
    // Nothing to fold is a fold of one element each.
    const [outer, n, inner] =
      at < 0 ? [sizeOf(sizes), 1, 1] : [sizeOf(sizes.slice(0, at)), sizes[at], sizeOf(sizes.slice(at + 1))];
    if (!runs.slice(0, Math.max(0, at)).some(({ reduced }) => reduced)) {
      foldRun(runtime, address(y), address(x), outer, n, inner);
      return true;
    }
    // Alternating runs: the one before the last stays, and is part of `outer` here. The rest is folded from what is left.
    runtime.withTemporary(outer * inner * 4, (temporary) => {
      foldRun(runtime, temporary, address(x), outer, n, inner);
      const left: Operand = {
        ...x,
        storage: { ...x.storage, handle: temporary },
        shape: [...sizes.slice(0, at), inner],
      };
      const rest = runs.slice(0, at).flatMap(({ reduced }, i) => (reduced ? [i] : []));
      reduction(foldRun)(runtime, [y], [left], { axes: rest });
    });
    return true;
  };

/** Elements per partial sum: CHUNK of assembly/reduce.ts. */
const CHUNK = 16384;

/** The sum of all n elements, or of their squares, by partial sums in 64 bits. */
function sumAll(runtime: WasmRuntime, y: number, x: number, n: number, squares: 0 | 1): void {
  const count = Math.ceil(n / CHUNK);
  runtime.withTemporary(count * 8, (partials) => {
    const { ints, kernels } = runtime;
    ints[args.partials] = partials;
    ints[args.x] = x;
    ints[args.n] = n;
    ints[args.squares] = squares;
    runtime.call(kernels.sumChunks, n * 0.25);
    ints[args.y] = y;
    ints[args.count] = count;
    runtime.call(kernels.sumPartials, 0);
  });
}

const sumSquares: Binding<'sumSquares'> = (runtime, [y], [x]) => {
  sumAll(runtime, address(y), address(x), sizeOf(x.shape), 1);
  return true;
};

const variance: Binding<'variance'> = (runtime, [y], [x], { correction }) => {
  const { ints, floats, kernels } = runtime;
  const [rows, n] = [sizeOf(y.shape), x.shape.at(-1)!];
  ints[args.y] = address(y);
  ints[args.x] = address(x);
  ints[args.outer] = rows;
  ints[args.n] = n;
  floats[args.divisor] = Math.max(0, n - correction);
  runtime.call(kernels.variance, rows * n * 0.2);
  return true;
};

export const reduceBindings = { sum: reduction(foldSum), max: reduction(foldMax), sumSquares, variance };
