/** @file Tensors made of numbers, triangles, and ids as vectors. */
import {
  checkTensor,
  formatShape,
  ShapeError,
  sizeOf,
  type Tensor,
  type TensorOptions,
  tensor,
  zeros,
} from '@blt-ts/tensor';
import { cast, equal, greater, where } from '../ops/elementwise.ts';
import { unsqueeze } from './shape.ts';

/** Values by their places, in 64 bits until the backend rounds them. */
function filled(shape: readonly number[], f: (i: number) => number, options: TensorOptions = {}): Tensor {
  const values = new Float64Array(sizeOf(shape));
  // A plain loop, because `Float64Array.from` takes ten times as long.
  for (let i = 0; i < values.length; i++) values[i] = f(i);
  return tensor(values, shape, { ...options, dtype: options.dtype ?? 'f32' });
}

const checkSize = (op: string, n: number): void => {
  if (!Number.isInteger(n) || n < 0) throw new ShapeError(`${op}: size ${n}; sizes are whole numbers >= 0`);
};

/**
 * start, start + step, ... below stop: `arange(3)` is 0, 1, 2. f32 unless `dtype` is given.
 * @throws RangeError if step is 0 or a number is not finite
 */
export function arange(start: number, stop?: number, step = 1, options: TensorOptions = {}): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (![from, to, step].every(Number.isFinite) || step === 0) {
    throw new RangeError(`arange: from ${from} to ${to} in steps of ${step}; they must be finite, and step not 0`);
  }
  return filled([Math.max(0, Math.ceil((to - from) / step))], (i) => from + i * step, options);
}

/** `count` numbers at even steps from start to stop, both included. @throws ShapeError for a count that is not whole */
export function linspace(start: number, stop: number, count: number, options: TensorOptions = {}): Tensor {
  checkSize('linspace', count);
  const step = (stop - start) / Math.max(1, count - 1);
  return filled([count], (i) => (i > 0 && i === count - 1 ? stop : start + i * step), options);
}

/** The identity matrix [n, columns]: 1 where row and column agree, else 0. Square unless `columns` is given. */
export function eye(n: number, columns = n, options: TensorOptions = {}): Tensor {
  checkSize('eye', n);
  checkSize('eye', columns);
  return filled([n, columns], (i) => Number(Math.floor(i / columns) === i % columns), options);
}

/** Row + k and column of the elements of the last two axes, to be compared: [rows,1] and [columns]. */
function places(op: string, x: Tensor, k: number): [rows: Tensor, columns: Tensor] {
  checkTensor(`${op}: x`, x);
  if (x.rank < 2) throw new ShapeError(`${op}: x needs at least two axes, got ${formatShape(x.shape)}`);
  const [rows, columns] = x.shape.slice(-2);
  const { backend } = x;
  return [unsqueeze(filled([rows], (i) => i + k, { backend }), 1), filled([columns], (i) => i, { backend })]; // biome-ignore format: one sentence
}

/** x with 0 above diagonal k of its last two axes: the lower triangle. @throws ShapeError for fewer than two axes */
export function tril(x: Tensor, k = 0): Tensor {
  const [rows, columns] = places('tril', x, k);
  return where(greater(columns, rows), 0, x);
}

/** x with 0 below diagonal k of its last two axes: the upper triangle. @throws ShapeError for fewer than two axes */
export function triu(x: Tensor, k = 0): Tensor {
  const [rows, columns] = places('triu', x, k);
  return where(greater(rows, columns), 0, x);
}

/** ids [..] i32 -> [.., classes] f32: 1 at the place that the id names, else 0. An id outside 0..classes-1 gives zeros, as in JAX. */
export function oneHot(ids: Tensor, classes: number): Tensor {
  checkTensor('oneHot: ids', ids);
  checkSize('oneHot', classes);
  const { backend } = ids;
  if (ids.size * classes === 0) return zeros([...ids.shape, classes], { backend });
  return equal(unsqueeze(cast(ids, 'f32'), -1), arange(0, classes, 1, { backend }));
}
