/** @file Fused operations equal their definitions out of primitive ones. */

import { evaluate, gradientOf, kernelNames, relativeDistance, rowOf, smallSize } from '@blt-ts/autograd/testing';
import { describe, expect } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { property } from '../support/property.ts';

const { backend } = reference64;
const fused = kernelNames.flatMap((kernel) => {
  const row = rowOf(kernel);
  const gradient = gradientOf(row);
  return gradient?.composed ? [{ kernel, row, gradient, composed: gradient.composed }] : [];
});

describe('a fused operation equals its definition out of primitive ones, values and gradients', () => {
  for (const { kernel, row, gradient, composed } of fused) {
    property(
      kernel,
      row.cases(smallSize).map((c) => gradient.smooth?.(c) ?? c),
      25,
      (c) => {
        const fused = evaluate(gradient.operation, c, gradient, backend);
        const primitive = evaluate(composed, c, gradient, backend);
        expect(relativeDistance(fused.value, primitive.value), 'values').toBeLessThan(1e-12);
        fused.grads.forEach((g, i) => {
          expect(relativeDistance(g, primitive.grads[i]), `gradient ${i}`).toBeLessThan(1e-11);
        });
      },
    );
  }
});
