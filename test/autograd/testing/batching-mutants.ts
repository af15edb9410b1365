/** @file Batching rules that are wrong: twenty mistakes of the kinds that people make. */
import { broadcastTo, concat, dropout, matmul, pad, reshape, slice, sum, transpose } from '@blt-ts/autograd';
import type { KernelName, Tensor } from '@blt-ts/tensor';
import { batchRules, example, stacked } from '../../../packages/autograd/src/batching.ts';
import { applyAll } from '../../../packages/autograd/src/tape.ts';

interface Batched {
  readonly x: Tensor;
  readonly shape: readonly number[];
  readonly batched: boolean;
}

type Rule = (ins: readonly Batched[], attrs: never, n: number, kernel: KernelName) => readonly Tensor[] | null;

export interface BatchingMutant {
  readonly name: string;
  readonly kernel: KernelName;
  /** The wrong rule, from the right one. */
  readonly wrong: (right: Rule) => Rule;
}

/** Runs `f` while a rule of the table is wrong. */
export function withWrongBatching<R>({ kernel, wrong }: BatchingMutant, f: () => R): R {
  const table = batchRules as unknown as Record<string, Rule>;
  const rule = table[kernel];
  table[kernel] = wrong(rule);
  try {
    return f();
  } finally {
    table[kernel] = rule;
  }
}

const instead = (rule: Rule) => (): Rule => rule;

/** Every example gets what the first one gives. */
const firstForAll = instead((ins, attrs, n, kernel) => {
  const outs = applyAll(kernel, ins.map(({ x, batched }) => (batched ? example(x, 0) : x)), attrs); // biome-ignore format: one sentence
  return outs.map((y) => stacked(Array<Tensor>(n).fill(y)));
});

/** The examples of one input are all the first one. */
const firstOf =
  (which: number) =>
  (right: Rule): Rule =>
  (ins, attrs, n, kernel) =>
    right(
      ins.map((input, i) =>
        i === which && input.batched ? { ...input, x: stacked(Array<Tensor>(n).fill(example(input.x, 0))) } : input,
      ),
      attrs,
      n,
      kernel,
    );

/** The results are there in the opposite order. */
const reversed =
  (right: Rule): Rule =>
  (ins, attrs, n, kernel) =>
    right(ins, attrs, n, kernel)?.map((y) => stacked(Array.from({ length: n }, (_, b) => example(y, n - 1 - b)))) ??
    null;

/** A kernel of rows sees all examples of one axis as one row. */
const oneRow =
  (right: Rule): Rule =>
  (ins, attrs, n, kernel) =>
    ins[0].shape.length === 1
      ? applyAll(kernel, [reshape(ins[0].x, [ins[0].x.size])], attrs).map((y) => reshape(y, ins[0].x.shape))
      : right(ins, attrs, n, kernel);

const swapped =
  (right: Rule): Rule =>
  ([a, b], attrs, n, kernel) =>
    right([b, a], attrs, n, kernel);

interface Axes {
  readonly axes: readonly number[];
}

export const batchingMutants: readonly BatchingMutant[] = [
  {
    name: 'add: the axes of a smaller input stand in front',
    kernel: 'add',
    wrong: instead((ins, attrs, _, kernel) =>
      applyAll(
        kernel,
        ins.map(({ x }) => x),
        attrs,
      ),
    ),
  },
  { name: 'sub: the operands are swapped', kernel: 'sub', wrong: swapped },
  { name: 'div: the first denominator for all', kernel: 'div', wrong: firstOf(1) },
  { name: 'exp: the examples in reverse', kernel: 'exp', wrong: reversed },
  { name: 'where: the first condition for all', kernel: 'where', wrong: firstOf(0) },
  { name: 'swiGlu: the operands are swapped', kernel: 'swiGlu', wrong: swapped },
  {
    name: 'dropout: a mask for all places of the batch',
    kernel: 'dropout',
    wrong: instead(([{ x }], { rate, seed }: { rate: number; seed: number }) => [dropout(x, rate, seed)]),
  },
  {
    name: 'sum: the axes stay where they are',
    kernel: 'sum',
    wrong: instead(([{ x }], { axes }: Axes) => applyAll('sum', [x], { axes })),
  },
  { name: 'max: the examples are reduced too', kernel: 'max', wrong: firstForAll },
  {
    name: 'sumSquares: over all examples',
    kernel: 'sumSquares',
    wrong: instead(([{ x }], _, n) => [broadcastTo(sum(x.mul(x)), [n])]),
  },
  {
    name: 'reshape: the examples are interleaved',
    kernel: 'reshape',
    wrong: instead(([{ x }], { shape }: { shape: number[] }, n) => [
      transpose(reshape(x, [...shape, n]), [shape.length, ...shape.keys()]),
    ]),
  },
  {
    name: 'transpose: the inverse permutation',
    kernel: 'transpose',
    wrong: instead(([{ x }], { perm }: { perm: number[] }) => [
      transpose(x, [0, ...perm.map((_, i) => 1 + perm.indexOf(i))]),
    ]),
  },
  { name: 'broadcastTo: the first example for all', kernel: 'broadcastTo', wrong: firstForAll },
  {
    name: 'slice: one element late',
    kernel: 'slice',
    wrong: instead(([{ x, shape }], { begin, end }: { begin: number[]; end: number[] }, n) => {
      const late = begin.map((_, i) => (end[i] < shape[i] ? 1 : 0));
      return [slice(x, [0, ...begin.map((b, i) => b + late[i])], [n, ...end.map((e, i) => e + late[i])])];
    }),
  },
  {
    name: 'pad: before and after are swapped',
    kernel: 'pad',
    wrong: instead(([{ x }], { before, after }: { before: number[]; after: number[] }) => [
      pad(x, [0, ...after], [0, ...before]),
    ]),
  },
  {
    name: 'concat: along the axis before',
    kernel: 'concat',
    wrong: instead((ins, { axis }: { axis: number }, n) => [
      concat(ins.map(({ x, shape, batched }) => (batched ? x : broadcastTo(x, [n, ...shape]))), axis), // biome-ignore format: one sentence
    ]),
  },
  { name: 'cumsum: goes on from one example to the next', kernel: 'cumsum', wrong: oneRow },
  { name: 'argsort: the order of the first example for all', kernel: 'argsort', wrong: firstForAll },
  { name: 'softmax: over all examples', kernel: 'softmax', wrong: oneRow },
  { name: 'gatherAxis: from the first example', kernel: 'gatherAxis', wrong: firstOf(0) },
  { name: 'scatterAddAxis: into the first example', kernel: 'scatterAddAxis', wrong: firstForAll },
  {
    name: 'matmul: without its transpositions',
    kernel: 'matmul',
    wrong: instead(([a, b], _, n) => {
      const [x, y] = [a, b].map(({ x, shape, batched }) => (batched ? x : broadcastTo(x, [n, ...shape])));
      return [matmul(x, y)];
    }),
  },
  { name: 'matmul: the first left matrix for all', kernel: 'matmul', wrong: firstOf(0) },
  { name: 'gatherRows: the first table for all', kernel: 'gatherRows', wrong: firstForAll },
  { name: 'crossEntropy: the examples in reverse', kernel: 'crossEntropy', wrong: reversed },
  {
    name: 'rmsNorm: the first weights for all',
    kernel: 'rmsNorm',
    wrong: (right) => (ins, attrs, n, kernel) =>
      right(
        ins.map((input) =>
          input === ins[1] && input.batched ? { ...input, x: example(input.x, 0), batched: false } : input,
        ),
        attrs,
        n,
        kernel,
      ),
  },
  { name: 'rope: the examples in reverse', kernel: 'rope', wrong: reversed },
  { name: 'intervalAttention: the first example for all', kernel: 'intervalAttention', wrong: firstForAll },
];
