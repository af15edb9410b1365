/** @file Rows of the op table as differentiable functions. */

import { type Backend, type KernelName, scope, type Tensor, tensor } from '@blt-ts/tensor';
import { concat, grad, gradcheck, mul, reshape, sum, valueAndGrad } from '../index.ts';
import { reference64 } from './backends.ts';
import { expectEqual } from './law.ts';
import type { Arr, DifferentiableOp, Gradient, OpCase, OpRow } from './op-row.ts';
import { toTensor, toTensors } from './op-run.ts';

/** The gradient half of a row with a gradient. */
export type Differentiable<K extends KernelName> = Extract<Gradient<K>, { operation: unknown }>;

/** The gradient half of a row, if the kernel has a gradient. */
export const gradientOf = <K extends KernelName>(row: OpRow<K>): Differentiable<K> | undefined =>
  'operation' in row.gradient ? row.gradient : undefined;

/** Inputs that gradients flow to, by index. */
export const variables = (
  { ins }: Pick<OpCase<never>, 'ins'>,
  { constants = [] }: Pick<DifferentiableOp, 'constants'>,
): number[] => [...ins.keys()].filter((i) => ins[i].dtype === 'f32' && !constants.includes(i));

/** The operation as a function of its variables alone; the other inputs are put in on the backend of the first one. */
export function ofVariables<Attrs>(
  operation: DifferentiableOp<Attrs>['operation'],
  c: OpCase<Attrs>,
  gradient: Pick<DifferentiableOp, 'constants'>,
): (xs: readonly Tensor[]) => Tensor {
  const which = variables(c, gradient);
  return (xs) =>
    operation(
      c.ins.map((x, i) => (which.includes(i) ? xs[which.indexOf(i)] : toTensor(x, xs[0].backend))),
      c.attrs,
    );
}

/** 0.5 .. 1.5, no two alike: a gradient that mixes elements up does not cancel. */
export function weights(like: Tensor): Tensor {
  const values = Float64Array.from({ length: like.size }, (_, i) => Math.fround(0.5 + ((i * 0.6180339887) % 1)));
  return tensor(values, like.shape, { backend: like.backend });
}

/** sum of w y: the gradient is the vector-Jacobian product with w. */
export const weighted = (y: Tensor): Tensor => sum(mul(y, weights(y)));

/** d (sum of w y^2) / d xs in one row, so that the second derivative of a linear function is not 0. */
export const flatGradient =
  (f: (xs: readonly Tensor[]) => Tensor) =>
  (xs: readonly Tensor[]): Tensor => {
    const grads = grad((inputs: readonly Tensor[]) => {
      const y = f(inputs);
      return weighted(mul(y, y));
    })(xs);
    return concat(grads.map((g) => reshape(g, [g.size])));
  };

/** The result of an operation and its gradients, as numbers. */
export interface Evaluated {
  readonly value: ArrayLike<number>;
  readonly grads: readonly (Float32Array | Int32Array)[];
}

/** The result of an operation, and the gradient of its weighted sum, as numbers. */
export function evaluate<Attrs>(
  operation: DifferentiableOp<Attrs>['operation'],
  c: OpCase<Attrs>,
  gradient: Pick<DifferentiableOp, 'constants'>,
  backend: Backend,
): Evaluated {
  return scope(() => {
    const f = ofVariables(operation, c, gradient);
    const xs = variables(c, gradient).map((i) => toTensor(c.ins[i], backend));
    const { aux, grads } = valueAndGrad((inputs: readonly Tensor[]) => {
      const y = f(inputs);
      return { loss: weighted(y), aux: y };
    })(xs);
    return { value: aux.readSync(), grads: grads.map((g) => g.readSync()) };
  });
}

/** Largest |a - b|, against the size of b. NaN counts as infinitely far. */
export function relativeDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let scale = 1;
  for (let i = 0; i < b.length; i++) {
    const difference = a[i] === b[i] ? 0 : Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    scale = Math.max(scale, Math.abs(b[i]));
  }
  return largest / scale;
}

/** The size of the longest axis. */
export const longestAxis = (ins: readonly Arr[]): number => Math.max(1, ...ins.flatMap((x) => x.shape));

/** f on tensors equals `want` on numbers, element by element, and its gradient passes gradcheck. */
export function holds(
  f: (...xs: Tensor[]) => Tensor,
  ins: readonly Arr[],
  shape: readonly number[],
  want: readonly number[],
): void {
  scope(() => {
    const xs = toTensors(ins, reference64.backend);
    const y = f(...xs);
    expectEqual(y.shape, shape, 'shape');
    const distance = relativeDistance(y.readSync(), want);
    if (!(distance < 1e-14)) throw new Error(`the values are a relative ${distance} apart`);
    gradcheck(f, xs);
  });
}
