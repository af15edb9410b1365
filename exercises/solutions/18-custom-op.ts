/** @file A solution of exercise 18. The slope of ln(1 + e^x) is e^x / (1 + e^x), which is the sigmoid. */
import { add, defineOp, exp, log, mul, sigmoid } from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';

export function makeSoftplus(): (x: Tensor) => Tensor {
  return defineOp({
    name: 'softplus',
    inputs: ['x'],
    forward: ([x]) => log(add(exp(x), 1)),
    vjp: (g, { ins: [x] }) => [mul(g, sigmoid(x))],
  });
}
