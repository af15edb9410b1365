/** @file Cross-entropy and shapes. */
import * as ag from '@blt-ts/autograd';
import { range } from '@blt-ts/autograd/testing';
import { ShapeError, scope, tensor } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { reference64 } from '../../support/backends.ts';

const { backend } = reference64;

const numbers = (n: number, shape: number[]) =>
  tensor(
    range(n).map((i) => Math.sin(7 * i)),
    shape,
    { backend },
  );

test('crossEntropy of logits that are no matrix is a matter of shape, whatever the targets', () => {
  scope(() => {
    const targets = tensor(Int32Array.of(4), [1], { backend });
    expect(() => ag.crossEntropy(numbers(10, [1, 2, 5]), targets)).toThrow(ShapeError);
    expect(() => ag.crossEntropy(tensor([1], [], { backend }), targets)).toThrow(ShapeError);
    expect(() => ag.crossEntropy(numbers(3, [1, 3]), targets)).toThrow(RangeError);
  });
});
