/** @file The operations that are made of others, each by the laws of the op table: value, gradient, errors, on every backend. */
import * as ag from '@blt-ts/autograd';
import { scope } from '@blt-ts/tensor';
import type fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  evaluate,
  flatGradient,
  longestAxis,
  ofVariables,
  relativeDistance,
  variables,
} from '../../packages/autograd/src/testing/op-gradient.ts';
import { expectWithin, toTensor, toTensors } from '../../packages/autograd/src/testing/op-run.ts';
import { raggedSize, smallSize } from '../../packages/autograd/src/testing/op-values.ts';
import { backends, reference64 } from '../support/backends.ts';
import { type AnyCase, asGradient, libraryTable } from '../support/library-table.ts';
import { property } from '../support/property.ts';

const rows = Object.entries(libraryTable);
const differentiable = rows
  .filter(([, row]) => !row.whole)
  .map(([name, row]) => ({ name, row, gradient: asGradient(row) }));
const { backend } = reference64;

const smoothCases = ({ row, gradient }: (typeof differentiable)[number], size = smallSize) =>
  (row.cases(size) as fc.Arbitrary<AnyCase>).map((c) => gradient.smooth?.(c) ?? c);

describe.each([...backends, reference64])('on $name', (tested) => {
  describe('every operation equals its definition', () => {
    for (const [name, row] of rows) {
      property(name, row.cases(raggedSize), 20, ({ ins, attrs }) =>
        scope(() => {
          const y = row.operation(toTensors(ins, tested.backend), attrs);
          expect(y.dtype).toBe(row.whole && name !== 'oneHot' ? 'i32' : 'f32');
          expectWithin({ shape: y.shape, values: y.readSync() }, row.define(ins, attrs), tested, name);
        }),
      );
    }
  });
});

describe.each(backends)('on $name', (tested) => {
  describe('gradients in 32 bits stay near those in 64', () => {
    for (const op of differentiable) {
      property(op.name, smoothCases(op), 5, (c) => {
        const got = evaluate(op.gradient.operation, c, op.gradient, tested.backend);
        const want = evaluate(op.gradient.operation, c, op.gradient, backend);
        const bound = (512 + 4 * longestAxis(c.ins)) * tested.roundoff;
        got.grads.forEach((g, i) => {
          expect(relativeDistance(g, want.grads[i]), `gradient ${i}`).toBeLessThan(bound);
        });
      });
    }
  });
});

describe('the gradient of every operation is the limit of its difference quotients, and that of the gradient too', () => {
  for (const op of differentiable) {
    property(op.name, smoothCases(op), 6, (c) => {
      const f = ofVariables(op.gradient.operation, c, op.gradient);
      const points = () => variables(c, op.gradient).map((i) => toTensor(c.ins[i], backend));
      scope(() => ag.gradcheck((...xs) => f(xs), points()));
      scope(() => ag.gradcheck((...xs) => flatGradient(f)(xs), points(), { tolerance: 1e-5 }));
    });
  }
});

describe('operations refuse wrong values, each in its own sentence', () => {
  for (const [name, { refusals = [], operation }] of rows) {
    if (refusals.length === 0) continue;
    test(name, () => {
      for (const { ins, attrs, message } of refusals) {
        let said = 'nothing was thrown';
        try {
          scope(() => operation(toTensors(ins, backend), attrs));
        } catch (error) {
          said = (error as Error).message;
        }
        expect(said).toBe(message);
      }
    });
  }
});
