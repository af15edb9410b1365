/** @file Contract of softmax and of the cross-entropy built on it. */
import { sizeOf } from '../shape.ts';
import { type Entries, expect, expectRank, expectShape, f32, type IndexRange, type KernelEntry } from './types.ts';

/** softmax and logSoftmax: same shape, over the last axis. */
const rowwise = (op: string): KernelEntry<unknown> => ({
  inputs: ['f32'],
  outputs: ([x]) => {
    expect(x.shape.length >= 1, () => `${op}: needs at least one axis, got a scalar`);
    return [x];
  },
  flops: ([x]) => 5 * sizeOf(x.shape),
});

const targets: IndexRange<unknown> = { input: 1, name: 'target', end: ([logits]) => logits.shape[1] };

export const softmax = {
  /** y = e^(x - max) / sum e^(x - max) over the last axis */
  softmax: rowwise('softmax'),
  /** y = x - max - ln sum e^(x - max) over the last axis */
  logSoftmax: rowwise('logSoftmax'),
  /** logits [n,V], targets [n] -> loss [n] in nats, loss[i] = ln sum_v e^logits[i,v] - logits[i,targets[i]] */
  crossEntropy: {
    inputs: ['f32', 'i32'],
    outputs: ([logits, targets]) => {
      expectRank('crossEntropy', 'logits', logits, 2);
      expectShape('crossEntropy', 'targets', targets, [logits.shape[0]]);
      return [f32([logits.shape[0]])];
    },
    indices: [targets],
    flops: ([logits]) => 4 * sizeOf(logits.shape),
  },
  /** logits [n,V], targets [n], g [n] -> dlogits[i,v] = g[i] * (softmax(logits[i])[v] - [v = targets[i]]) */
  crossEntropyBackward: {
    inputs: ['f32', 'i32', 'f32'],
    outputs: ([logits, targets, g]) => {
      expectRank('crossEntropyBackward', 'logits', logits, 2);
      expectShape('crossEntropyBackward', 'targets', targets, [logits.shape[0]]);
      expectShape('crossEntropyBackward', 'g', g, targets.shape);
      return [logits];
    },
    indices: [targets],
    flops: ([logits]) => 5 * sizeOf(logits.shape),
    aliases: [0],
  },
} satisfies Entries;
