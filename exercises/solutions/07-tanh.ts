/** @file A solution of exercise 7. */
import { mul, sub } from '@blt-ts/autograd';
import type { Tensor } from '@blt-ts/tensor';

export function tanhRule(g: Tensor, y: Tensor): Tensor {
  return mul(g, sub(1, mul(y, y)));
}
