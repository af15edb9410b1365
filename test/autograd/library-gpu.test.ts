/** @file The operations that are made of others on the gpu backend, whose kernels run as WebAssembly here: values and gradients. */
import * as ag from '@blt-ts/autograd';
import {
  evaluate,
  forwardLaws,
  libraryNames,
  libraryTable,
  longestAxis,
  ofVariables,
  operationOf,
  readAll,
  relativeDistance,
  smallSize,
  toTensor,
  variables,
  weighted,
} from '@blt-ts/autograd/testing';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import { describe, expect } from 'vitest';
import { reference64 } from '../support/backends.ts';
import { asyncProperty } from '../support/gpu-run.ts';
import { holdLaws } from '../support/property.ts';

const backend = await createGpuBackend({ mode: 'webasm' });

describe('every operation equals its definition', () => {
  holdLaws(forwardLaws(backend, { operations: libraryNames }), 5);
});

describe('gradients stay near those in 64 bits', () => {
  for (const name of libraryNames) {
    if (libraryTable[name].whole) continue;
    const op = operationOf(name);
    const cases = op.cases(smallSize).map((c) => op.smooth?.(c) ?? c);
    asyncProperty(name, cases, 2, async (c) => {
      const f = ofVariables(op.operation, c, op);
      const grads = await readAll(() => [
        ...ag.grad((xs: readonly ReturnType<typeof toTensor>[]) => weighted(f(xs)))(
          variables(c, op).map((i) => toTensor(c.ins[i], backend)),
        ),
      ]);
      const want = evaluate(op.operation, c, op, reference64.backend);
      grads.forEach((g, i) => {
        expect(relativeDistance(g.values, want.grads[i])).toBeLessThan((1024 + 4 * longestAxis(c.ins)) * 2 ** -24);
      });
    });
  }
});
