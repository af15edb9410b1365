/** @file Fused operations can be differentiated any number of times: from the second on, through their definitions. */
import { gradcheck } from '@blt-ts/autograd';
import {
  flatGradient,
  ofVariables,
  operationOf,
  reference64,
  smallSize,
  toTensor,
  variables,
} from '@blt-ts/autograd/testing';
import { type KernelName, scope } from '@blt-ts/tensor';
import { describe } from 'vitest';
import { property } from '../support/property.ts';

const fused: readonly KernelName[] = [
  'swiGlu',
  'rmsNorm',
  'variance',
  'crossEntropy',
  'segmentMax',
  'softmax',
  'intervalAttention',
];

// First and second derivatives are among the laws of every operation: rules.test.ts.
describe('the third derivative is the limit of the difference quotients of the second', () => {
  for (const kernel of fused) {
    const op = operationOf(kernel);
    property(
      kernel,
      op.cases(smallSize).map((c) => op.smooth?.(c) ?? c),
      3,
      (c) => {
        const f = flatGradient(flatGradient(ofVariables(op.operation, c, op)));
        scope(() => {
          const points = variables(c, op).map((i) => toTensor(c.ins[i], reference64.backend));
          // Third derivatives are large where the norm of a row is small.
          gradcheck((...xs) => f(xs), points, { tolerance: 1e-4 });
        });
      },
    );
  }
});
