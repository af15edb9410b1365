/** @file Activation functions. */
import { checkOptions, checkTensor, describe, donating, type Tensor } from '@blt-ts/tensor';
import { defineOp } from '../define-op.ts';
import {
  abs,
  add,
  affine,
  erf,
  exp,
  greater,
  maximum,
  minimum,
  mul,
  neg,
  sigmoid,
  tanh,
  where,
} from '../ops/elementwise.ts';
import { expm1, log1p } from './math.ts';

/**
 * Gaussian error linear unit: x Phi(x) = x (1 + erf(x / sqrt 2)) / 2, or with `approximate: 'tanh'`
 * x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. @see Hendrycks & Gimpel 2016
 * @throws TypeError for another approximation
 */
export function gelu(x: Tensor, options: { approximate?: 'none' | 'tanh' } = {}): Tensor {
  checkTensor('gelu: x', x);
  checkOptions('gelu', options, ['approximate']);
  const { approximate = 'none' } = options;
  if (approximate !== 'none' && approximate !== 'tanh') {
    throw new TypeError(`gelu: approximate must be 'none' or 'tanh', got ${describe(approximate)}`);
  }
  if (approximate === 'none') return mul(x, affine(erf(affine(x, Math.SQRT1_2)), 0.5, 0.5));
  const inner = mul(x, affine(mul(x, x), 0.044715 * Math.sqrt(2 / Math.PI), Math.sqrt(2 / Math.PI)));
  return mul(x, affine(tanh(inner), 0.5, 0.5));
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), without overflow. */
export const softplus: (x: Tensor) => Tensor = /* @__PURE__ */ defineOp({
  name: 'softplus',
  inputs: ['x'],
  reads: { ins: [0], outs: false },
  // The maximum comes last, because it may write over x.
  forward: ([x]) => add(log1p(exp(neg(abs(x)))), maximum(x, 0)),
  vjp: (g, { ins: [x] }) => [mul(g, sigmoid(x))],
});

/** ln(1 / (1 + e^-x)) = -softplus(-x) */
export function logSigmoid(x: Tensor): Tensor {
  checkTensor('logSigmoid: x', x);
  return neg(softplus(neg(x)));
}

function checkNumber(what: string, value: unknown): void {
  if (typeof value !== 'number') throw new TypeError(`${what} must be a number, got ${describe(value)}`);
}

/** Exponential linear unit: x above 0, else alpha (e^x - 1). @see Clevert et al. 2016 */
export function elu(x: Tensor, alpha = 1): Tensor {
  checkTensor('elu: x', x);
  checkNumber('elu: alpha', alpha);
  const above = greater(x, 0);
  // Only what is below 0 goes through the exponential, which would overflow.
  return where(above, x, affine(expm1(where(above, 0, x)), alpha));
}

const leaky = /* @__PURE__ */ defineOp({
  name: 'leakyRelu',
  inputs: ['x'],
  reads: { ins: [0], outs: false },
  // A slope up to 1 makes slope x the smaller of the two above 0, and the larger below.
  forward: ([x], { slope }: { slope: number }) => {
    const scaled = affine(x, slope);
    return donating([scaled], () => (slope <= 1 ? maximum : minimum)(scaled, x));
  },
  vjp: (g, { ins: [x], attrs: { slope } }) => [mul(g, where(greater(x, 0), 1, slope))],
});

/** x above 0, else slope x. @see Maas et al. 2013 */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  checkTensor('leakyRelu: x', x);
  checkNumber('leakyRelu: slope', slope);
  // 0 times Infinity is no number.
  if (slope === 0) return where(greater(x, 0), x, affine(x, 0));
  return leaky(x, { slope });
}
