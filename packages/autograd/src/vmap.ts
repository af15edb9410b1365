/** @file `vmap`: a function of one example as a function of a batch. */
import { formatShape, ShapeError, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { concat, reshape, slice } from './ops/shape.ts';
import { leaves, mapTree, type Tree, treeMap } from './tree.ts';

/** Where the batch is. */
export interface VmapOptions {
  /** Axis of every argument that counts the examples (default 0; -1 is the last). */
  readonly inAxes?: number;
  /** Axis of every result that counts the examples (default 0; -1 is the last). */
  readonly outAxes?: number;
}

const fromEnd = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** x[..., b, ...] on an axis, without that axis. */
function example(x: Tensor, axis: number, b: number): Tensor {
  const shape = x.shape.filter((_, i) => i !== axis);
  if (x.dtype === 'f32') {
    const begin = x.shape.map((_, i) => (i === axis ? b : 0));
    return reshape(slice(x, begin, x.shape.map((d, i) => (i === axis ? b + 1 : d))), shape); // biome-ignore format: one sentence
  }
  // Whole numbers have no gradient, and no kernel cuts them.
  const inner = x.shape.slice(axis + 1).reduce((n, d) => n * d, 1);
  const stride = inner * x.shape[axis];
  const values = x.readSync().filter((_, i) => Math.floor((i % stride) / inner) === b);
  return tensor(values, shape, { dtype: x.dtype, backend: x.backend });
}

/** The tensors along a new axis. */
function stack(xs: readonly Tensor[], outAxes: number): Tensor {
  const [{ shape }] = xs;
  const axis = fromEnd(outAxes, shape.length + 1);
  if (!(axis >= 0 && axis <= shape.length)) {
    throw new ShapeError(`vmap: outAxes ${outAxes} is no axis of a batch of results ${formatShape(shape)}`);
  }
  const one = [...shape.slice(0, axis), 1, ...shape.slice(axis)];
  return concat(xs.map((x) => reshape(x, one)), axis); // biome-ignore format: one sentence
}

/** The number of examples in all arguments. @throws ShapeError unless all have the axis, and the same size on it */
function batchSize(args: readonly Tree[], inAxes: number): number {
  let size: number | undefined;
  for (const [name, x] of leaves(args)) {
    const found = x.shape[fromEnd(inAxes, x.rank)];
    if (found === undefined)
      throw new ShapeError(`vmap: argument ${name} ${formatShape(x.shape)} has no axis ${inAxes}`);
    size ??= found;
    if (found !== size) {
      throw new ShapeError(`vmap: argument ${name} has ${found} examples on axis ${inAxes}, another one ${size}`);
    }
  }
  if (!size) throw new ShapeError('vmap: there is no example in the arguments, so no result to take the shape from');
  return size;
}

/**
 * From f of one example to a function of a batch: vmap(f)(x)[b] = f(x[b]). Arguments and results may be trees, and every leaf has the
 * axis of the batch; what all examples share is a variable that f closes over, or a parameter of an enclosing `grad`. Gradients go
 * through it, in any order: `vmap(grad(f))` gives the gradient of each example, `grad` of `sum(vmap(f)(x))` their sum.
 *
 * f runs once for each example, and the results are stacked: there are no batching rules, so that everything f may do is right,
 * conditions on values too. A batch costs as much as its examples one by one; where f is a chain of matrix products, write the batch
 * axis into it instead.
 * @throws ShapeError if an argument lacks the axis, sizes on it differ, or there is no example
 * @see `jax.vmap`
 */
export function vmap<A extends readonly Tree[], Y extends Tree>(
  f: (...args: A) => Y,
  { inAxes = 0, outAxes = 0 }: VmapOptions = {},
): (...args: A) => Y {
  return (...args) =>
    scope(() => {
      const results = Array.from({ length: batchSize(args, inAxes) }, (_, b) => {
        const one = mapTree(args, (x) => example(x, fromEnd(inAxes, x.rank), b)) as unknown as A;
        // biome-ignore lint/plugin: the parameters of one function
        return f(...one);
      });
      const [first, ...rest] = results;
      // biome-ignore lint/plugin: one tree for each example
      return treeMap((...xs) => stack(xs, outAxes), first, ...rest) as unknown as Y;
    });
}
