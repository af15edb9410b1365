/** @file Softmax, and the cross-entropy made of it. composed.ts has each as primitive operations. */
import type { Tensor } from '@blt-ts/tensor';
import { apply } from '../tape.ts';

/** y = e^x / sum e^x over the last axis, x and y [..., C]. Safe against overflow. */
export const softmax = (x: Tensor): Tensor => apply('softmax', [x], {});

/** y = x - ln sum e^x over the last axis, x and y [..., C]. Safe against overflow. */
export const logSoftmax = (x: Tensor): Tensor => apply('logSoftmax', [x], {});

/**
 * Cross-entropy of each row, in nats: logits [n,V], targets [n] i32 -> [n], ln sum_v e^logits[i,v] - logits[i,targets[i]].
 * @throws RangeError naming the first target outside 0..V-1
 */
export const crossEntropy = (logits: Tensor, targets: Tensor): Tensor => apply('crossEntropy', [logits, targets], {});
