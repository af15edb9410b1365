/**
 * @file The operations that are made of others, each by the laws of the op table: gradients and errors. Values on every backend are
 * tested with those of the kernels (test/tensor/op-table.test.ts).
 */
import { gradientLaws, libraryNames, libraryTable, operationOf, toTensors } from '@blt-ts/autograd/testing';
import { scope } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../support/backends.ts';
import { holdLaws } from '../support/property.ts';

describe('the laws of every operation', () => {
  for (const name of libraryNames) {
    if (!libraryTable[name].whole) holdLaws(gradientLaws(operationOf(name), { backends }), 4);
  }
});

describe('operations refuse wrong values, each in its own sentence', () => {
  for (const [name, { refusals = [], operation }] of Object.entries(libraryTable)) {
    if (refusals.length === 0) continue;
    test(name, () => {
      for (const { ins, attrs, message } of refusals) {
        let said = 'nothing was thrown';
        try {
          scope(() => operation(toTensors(ins, reference64.backend), attrs));
        } catch (error) {
          said = (error as Error).message;
        }
        expect(said).toBe(message);
      }
    });
  }
});

test('operations without a gradient, and names that are none, are refused', () => {
  expect(() => operationOf('argmax')).toThrow(new Error('argmax is no operation that has a gradient'));
  expect(() => operationOf('toI32')).toThrow(new Error('toI32 is no operation that has a gradient'));
  expect(() => operationOf('toString')).toThrow('toString is no operation of the op table; libraryNames and');
});
