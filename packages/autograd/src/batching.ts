/**
 * @file The batching rule of every kernel, in one table: from a call on one example to the same call on all of them. Inputs of a batch
 * and results have the axis of the examples in front, inputs that all examples share have not. Rules are written with the recorded
 * kernels, so gradients go through them.
 */
import {
  type KernelAttrs,
  type KernelName,
  normalizeAxes,
  ones,
  type Shape,
  sizeOf,
  type Tensor,
  tensor,
} from '@blt-ts/tensor';
import { dropout, mul, where } from './ops/elementwise.ts';
import { matmul } from './ops/matmul.ts';
import { sum } from './ops/reduce.ts';
import { broadcastTo, concat, reshape, slice } from './ops/shape.ts';
import { apply, applyAll } from './tape.ts';

// ----- the form of a rule ---------------------------------------------------------------------------------------------

/** One input of a call: its shape in one example, and its values, which all examples share unless it is `batched`. */
interface Batched {
  readonly x: Tensor;
  readonly shape: Shape;
  readonly batched: boolean;
}

/** The results for n examples; null for a call that has no such form, which then runs once for each example. */
type BatchRule<K extends KernelName> = (
  ins: readonly Batched[],
  attrs: KernelAttrs[K],
  n: number,
  kernel: K,
) => readonly Tensor[] | null;

/** One rule for each kernel. A kernel without a rule does not compile. */
type BatchRules = { readonly [K in KernelName]: BatchRule<K> };

// ----- rules for many kernels -----------------------------------------------------------------------------------------

/** x of a batch or shared, with `rank` axes behind that of the examples: new ones of size 1 come first, as in broadcasting. */
function aligned({ x, shape, batched }: Batched, rank: number): Tensor {
  const missing = rank - shape.length;
  return batched && missing > 0 ? reshape(x, [x.shape[0], ...Array(missing).fill(1), ...shape]) : x;
}

/** x for each example. */
const repeated = ({ x, shape, batched }: Batched, n: number): Tensor => (batched ? x : broadcastTo(x, [n, ...shape]));

/** No kernel repeats whole numbers. */
const sharesIds = (ins: readonly Batched[]): boolean => ins.some(({ x, batched }) => !batched && x.dtype === 'i32');

/** Each example on its own. */
const each = (): null => null;

/** Kernels that broadcast, and those along the last axis: an axis in front changes nothing. */
const inFront = <K extends KernelName>(
  ins: readonly Batched[],
  attrs: KernelAttrs[K],
  _: number,
  kernel: K,
): Tensor[] => {
  const rank = ins.reduce((most, { shape }) => Math.max(most, shape.length), 0);
  return applyAll(kernel, ins.map((x) => aligned(x, rank)), attrs); // biome-ignore format: one sentence
};

/** Kernels whose inputs must have the same axes in front. */
const together = <K extends KernelName>(ins: readonly Batched[], attrs: KernelAttrs[K], n: number, kernel: K): Tensor[] | null =>
  sharesIds(ins) ? null : applyAll(kernel, ins.map((x) => repeated(x, n)), attrs); // biome-ignore format: one sentence

/** Kernels that read one row of the inputs `which` after the other: the rows of all examples are rows. The other inputs are shared. */
const rowsOf =
  (...which: number[]) =>
  <K extends KernelName>(ins: readonly Batched[], attrs: KernelAttrs[K], n: number, kernel: K): Tensor[] | null => {
    const [rows, others] = [which.map((i) => ins[i]), ins.filter((_, i) => !which.includes(i))];
    if (sharesIds(rows) || others.some(({ batched }) => batched)) return null;
    const flat = ins.map((x, i) => {
      if (!which.includes(i)) return x.x;
      const [count, ...rest] = x.shape;
      return reshape(repeated(x, n), [n * count, ...rest]);
    });
    return applyAll(kernel, flat, attrs).map((y) => reshape(y, [n, y.shape[0] / n, ...y.shape.slice(1)]));
  };

/** Kernels that reduce axes, which move one to the right. */
const reduction = <K extends 'sum' | 'max'>(
  [{ x, shape }]: readonly Batched[],
  { axes }: { axes: readonly number[] },
  _: number,
  kernel: K,
): Tensor[] =>
  applyAll(kernel, [x], { axes: normalizeAxes(kernel, axes, shape.length).map((i) => i + 1) } as KernelAttrs[K]);

// ----- the table ------------------------------------------------------------------------------------------------------

/** How each kernel runs on a batch. */
// biome-ignore format: a table reads best aligned
export const batchRules: BatchRules = {
  neg: inFront, exp: inFront, log: inFront, sqrt: inFront, reciprocal: inFront, sin: inFront, cos: inFront, tanh: inFront,
  sigmoid: inFront, abs: inFront, sign: inFront, erf: inFront, affine: inFront, toI32: inFront, toF32: inFront,
  // Every example has the mask of its own places.
  dropout: ([{ x, shape }], { rate, seed }) => {
    const scale = dropout(ones(shape, { backend: x.backend }), rate, seed);
    return [where(scale, mul(x, scale), 0)];
  },
  add: inFront, sub: inFront, mul: inFront, div: inFront, maximum: inFront, minimum: inFront, greater: inFront, equal: inFront, notEqual: inFront,
  where: inFront,
  swiGlu: together, swiGluBackward: together,

  sum: reduction, max: reduction,
  sumSquares: ([{ x, shape }]) => [sum(mul(x, x), { axes: shape.map((_, i) => i + 1) })],
  variance: inFront,

  reshape:     ([{ x }], { shape }, n) => [reshape(x, [n, ...shape])],
  transpose:   ([{ x }], { perm }) => [apply('transpose', [x], { perm: [0, ...perm.map((i) => i + 1)] })],
  broadcastTo: ([x], { shape }, n) => [broadcastTo(aligned(x, shape.length), [n, ...shape])],
  slice:       ([{ x }], { begin, end }, n) => [slice(x, [0, ...begin], [n, ...end])],
  pad:         ([{ x }], { before, after }) => [apply('pad', [x], { before: [0, ...before], after: [0, ...after] })],
  concat:      (ins, { axis }, n) => [concat(ins.map((x) => repeated(x, n)), axis + 1)],

  cumsum: inFront, argsort: inFront, softmax: inFront, logSoftmax: inFront,
  gatherAxis: together, scatterAddAxis: together,

  matmul: ([a, b], attrs, n) => {
    // A matrix that all examples share stays one.
    if (a.batched && !b.batched && b.shape.length === 2) return [matmul(a.x, b.x, attrs)];
    return [matmul(repeated(a, n), repeated(b, n), attrs)];
  },

  gatherRows: rowsOf(1), embeddingBag: rowsOf(1),
  scatterAddRows: each, segmentGatherSum: each, segmentMax: each, segmentMaxBackward: each,
  crossEntropy: rowsOf(0, 1), crossEntropyBackward: rowsOf(0, 1, 2),
  rmsNorm: ([x, w], attrs) => (w.batched ? null : [apply('rmsNorm', [x.x, w.x], attrs)]),
  rmsNormBackward: each,
  rope: rowsOf(0, 3),
  intervalAttention: each, intervalAttentionBackward: each,

  // In place: vmap runs a function that calls one of them once for each example.
  adamw: each, adamwRows: each, adamwCatchUp: each, lerp: each, writeRows: each,
};

/** The results of a kernel for n examples, with the axis of the examples in front. At least one input is of a batch. */
export function batched<K extends KernelName>(
  kernel: K,
  ins: readonly Batched[],
  attrs: KernelAttrs[K],
  n: number,
): readonly Tensor[] {
  const found = (batchRules[kernel] as BatchRule<K>)(ins, attrs, n, kernel);
  if (found) return found;
  const results = Array.from({ length: n }, (_, b) => {
    const own = ins.map(({ x, batched }) => (batched ? example(x, b) : x));
    return applyAll(kernel, own, attrs);
  });
  return results[0].map((_, i) => stacked(results.map((outs) => outs[i])));
}

// ----- examples of a batch --------------------------------------------------------------------------------------------

/** x[b]. */
export function example(x: Tensor, b: number): Tensor {
  const [, ...shape] = x.shape;
  if (x.dtype === 'f32') return reshape(slice(x, [b], [b + 1]), shape);
  // Whole numbers have no gradient, and no kernel cuts them.
  const size = sizeOf(shape);
  return tensor(x.readSync().subarray(b * size, (b + 1) * size), shape, { dtype: x.dtype, backend: x.backend });
}

/** The tensors along a new first axis. */
export function stacked(xs: readonly Tensor[]): Tensor {
  const [{ shape, dtype, backend }] = xs;
  if (dtype === 'f32') return concat(xs.map((x) => reshape(x, [1, ...shape]))); // biome-ignore format: one sentence
  const values = new Int32Array(xs.length * sizeOf(shape));
  xs.forEach((x, b) => {
    values.set(x.readSync(), b * x.size);
  });
  return tensor(values, [xs.length, ...shape], { backend });
}
