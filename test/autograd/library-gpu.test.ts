/** @file The operations that are made of others on the gpu backend, whose kernels run as WebAssembly here: values and gradients. */
import * as ag from '@blt-ts/autograd';
import { createGpuBackend } from '@blt-ts/tensor/gpu';
import type fc from 'fast-check';
import { describe, expect } from 'vitest';
import {
  evaluate,
  longestAxis,
  ofVariables,
  relativeDistance,
  variables,
  weighted,
} from '../../packages/autograd/src/testing/op-gradient.ts';
import { expectWithin, readAll, toTensor, toTensors } from '../../packages/autograd/src/testing/op-run.ts';
import { raggedSize, smallSize } from '../../packages/autograd/src/testing/op-values.ts';
import { reference64 } from '../support/backends.ts';
import { asyncProperty } from '../support/gpu-run.ts';
import { type AnyCase, asGradient, libraryTable } from '../support/library-table.ts';

const backend = await createGpuBackend({ mode: 'webasm' });
const tested = { name: 'webasm', roundoff: 2 ** -24, tiny: 2 ** -126 };

describe('every operation equals its definition', () => {
  for (const [name, row] of Object.entries(libraryTable)) {
    asyncProperty(name, row.cases(raggedSize), 5, async ({ ins, attrs }) => {
      const [y] = await readAll(() => [row.operation(toTensors(ins, backend), attrs)]);
      expectWithin(y, row.define(ins, attrs), tested, name);
    });
  }
});

describe('gradients stay near those in 64 bits', () => {
  for (const [name, row] of Object.entries(libraryTable)) {
    if (row.whole) continue;
    const gradient = asGradient(row);
    const cases = (row.cases(smallSize) as fc.Arbitrary<AnyCase>).map((c) => gradient.smooth?.(c) ?? c);
    asyncProperty(name, cases, 2, async (c) => {
      const f = ofVariables(gradient.operation, c, gradient);
      const grads = await readAll(() => [
        ...ag.grad((xs: readonly ReturnType<typeof toTensor>[]) => weighted(f(xs)))(
          variables(c, gradient).map((i) => toTensor(c.ins[i], backend)),
        ),
      ]);
      const want = evaluate(gradient.operation, c, gradient, reference64.backend);
      grads.forEach((g, i) => {
        expect(relativeDistance(g.values, want.grads[i])).toBeLessThan((1024 + 4 * longestAxis(c.ins)) * 2 ** -24);
      });
    });
  }
});
