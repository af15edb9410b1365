/** @file Gradient rules that are wrong: twenty mistakes of the kinds that people make. */
import {
  affine,
  broadcastTo,
  type Cotangent,
  div,
  exp,
  mul,
  neg,
  pad,
  reshape,
  rules,
  sub,
  sum,
  transpose,
} from '@blt-ts/autograd';
import type { KernelName, Tensor } from '@blt-ts/tensor';

type Vjp = (
  g: Tensor,
  call: { ins: readonly Tensor[]; outs: readonly Tensor[]; attrs: never; needs: readonly boolean[] },
) => (Cotangent | null)[];

export interface RuleMutant {
  readonly name: string;
  readonly kernel: KernelName;
  /** The wrong rule, from the right one. */
  readonly vjp: (right: Vjp) => Vjp;
}

/** Runs `f` while a rule of the table is wrong. */
export function withWrongRule<R>({ kernel, vjp }: RuleMutant, f: () => R): R {
  const table = rules as unknown as Record<string, { vjp: Vjp }>;
  const rule = table[kernel];
  table[kernel] = { ...rule, vjp: vjp((...args) => rule.vjp(...args)) };
  try {
    return f();
  } finally {
    table[kernel] = rule;
  }
}

/** The gradient for one input changed. */
const changed =
  (which: number, f: (d: Tensor, g: Tensor, call: Parameters<Vjp>[1]) => Tensor) =>
  (right: Vjp): Vjp =>
  (g, call) =>
    right(g, call).map((d, i) => (d && i === which ? f(d as Tensor, g, call) : d));

const lastAxis = { axes: -1, keepDims: true };

/** The permutation that transposes each matrix. */
function lastAxesSwapped({ rank }: Tensor): number[] {
  const axes = Array.from({ length: rank - 2 }, (_, i) => i);
  return [...axes, rank - 1, rank - 2];
}

export const ruleMutants: readonly RuleMutant[] = [
  { name: 'sub: the sign of the second operand', kernel: 'sub', vjp: changed(1, (d) => neg(d)) },
  {
    name: 'mul: the operands are swapped',
    kernel: 'mul',
    vjp: changed(0, (d, g, { ins: [a, b] }) => (a.size === b.size ? reshape(mul(g, a), d.shape) : d)),
  },
  { name: 'div: b is not squared', kernel: 'div', vjp: changed(1, (d, _, { ins: [, b] }) => mul(d, b)) },
  {
    name: 'exp: g times x',
    kernel: 'exp',
    vjp:
      () =>
      (g, { ins: [x] }) => [mul(g, x)],
  },
  { name: 'sqrt: without the half', kernel: 'sqrt', vjp: changed(0, (d) => affine(d, 2)) },
  {
    name: 'tanh: 1 - y instead of 1 - y^2',
    kernel: 'tanh',
    vjp:
      () =>
      (g, { outs: [y] }) => [mul(g, affine(y, -1, 1))],
  },
  {
    name: 'sigmoid: the exponential of y',
    kernel: 'sigmoid',
    vjp:
      () =>
      (g, { outs: [y] }) => [mul(g, exp(neg(y)))],
  },
  { name: 'cos: the sign', kernel: 'cos', vjp: changed(0, (d) => neg(d)) },
  { name: 'affine: the scale is lost', kernel: 'affine', vjp: () => (g) => [g] },
  { name: 'sum: the mean', kernel: 'sum', vjp: changed(0, (d, g) => (d.size > 0 ? affine(d, g.size / d.size) : d)) },
  {
    name: 'max: every element gets the gradient',
    kernel: 'max',
    vjp:
      () =>
      (g, { ins: [x] }) => [broadcastTo(g, x.shape)],
  },
  { name: 'sumSquares: without the 2', kernel: 'sumSquares', vjp: changed(0, (d) => affine(d, 0.5)) },
  {
    name: 'variance: the mean is forgotten',
    kernel: 'variance',
    vjp:
      () =>
      (g, { ins: [x], attrs }) => {
        const { correction } = attrs as { correction: number };
        return [mul(affine(x, 2 / (x.shape[x.rank - 1] - correction)), g)];
      },
  },
  {
    name: 'transpose: the same permutation again',
    kernel: 'transpose',
    vjp:
      () =>
      (g, { ins: [x], attrs }) => {
        const y = transpose(g, (attrs as { perm: number[] }).perm);
        return [reshape(y, x.shape)];
      },
  },
  {
    name: 'reshape: down the columns',
    kernel: 'reshape',
    vjp:
      () =>
      (g, { ins: [x] }) => [transpose(reshape(g, [...x.shape].reverse()))],
  },
  {
    name: 'slice: one element late',
    kernel: 'slice',
    vjp:
      () =>
      (g, { ins: [x], attrs }) => {
        const { begin, end } = attrs as { begin: number[]; end: number[] };
        const late = begin.map((b, i) => (end[i] < x.shape[i] ? b + 1 : b));
        return [
          pad(
            g,
            late,
            x.shape.map((d, i) => d - late[i] - (end[i] - begin[i])),
          ),
        ];
      },
  },
  {
    name: 'concat: the pieces in the wrong order',
    kernel: 'concat',
    vjp: (right) => (g, call) => {
      const found = right(g, call);
      return found.map((d, i) =>
        (d as Tensor).size === (found[found.length - 1 - i] as Tensor).size
          ? reshape(found[found.length - 1 - i] as Tensor, (d as Tensor).shape)
          : d,
      );
    },
  },
  {
    name: 'matmul: a is not transposed',
    kernel: 'matmul',
    vjp: changed(1, (d) => reshape(transpose(d, lastAxesSwapped(d)), d.shape)),
  },
  {
    name: 'softmax: the mean of g is not taken away',
    kernel: 'softmax',
    vjp:
      () =>
      (g, { outs: [y] }) => [mul(g, y)],
  },
  {
    name: 'logSoftmax: y where e^y belongs',
    kernel: 'logSoftmax',
    vjp:
      () =>
      (g, { outs: [y] }) => [sub(g, mul(y, sum(g, lastAxis)))],
  },
  {
    name: 'rmsNorm: the weights are left out',
    kernel: 'rmsNorm',
    vjp: changed(0, (d, _, { ins: [, w] }) => (w.size > 0 ? div(d, w) : d)),
  },
  { name: 'rope: turned the same way', kernel: 'rope', vjp: changed(0, (d) => affine(d, -1)) },
  {
    name: 'intervalAttention: the gradient of the keys is halved',
    kernel: 'intervalAttention',
    vjp: changed(1, (d) => affine(d, 0.5)),
  },
];
