/** @file Softmax, and the cross-entropy made of it. composed.ts has each as primitive operations. */
import { checkNoMore, type Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

function alongLast(kernel: 'softmax' | 'logSoftmax', x: Tensor, more: readonly unknown[]): Tensor {
  checkNoMore(kernel, more, 'it runs over the last axis, and moveaxis(x, axis, -1) makes another one the last');
  return apply(kernel, [x], {});
}

/** y = e^x / sum e^x over the last axis, x and y [..., C]. Safe against overflow. @throws TypeError for an axis, which it does not take */
export const softmax = (x: Tensor, ...none: never[]): Tensor => alongLast('softmax', x, none);

/** y = x - ln sum e^x over the last axis, x and y [..., C]. Safe against overflow. @throws TypeError as `softmax` */
export const logSoftmax = (x: Tensor, ...none: never[]): Tensor => alongLast('logSoftmax', x, none);

/**
 * Cross-entropy of each row, in nats: logits [n,V], targets [n] i32 -> [n], ln sum_v e^logits[i,v] - logits[i,targets[i]].
 * @throws RangeError naming the first target outside 0..V-1, TypeError for options, which it does not take
 */
export function crossEntropy(logits: Tensor, targets: Tensor, ...none: never[]): Tensor {
  checkNoMore('crossEntropy', none, 'its result has one loss for each row, and mean or sum makes one number of it');
  return apply('crossEntropy', [logits, targets], {});
}
