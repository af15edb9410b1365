/** @file The table of rules, each kernel of it: limits of difference quotients, values read, refusals. */

import { affine, apply, applyAll, grad, type Rule, rules, sum } from '@blt-ts/autograd';
import {
  gradientLaws,
  gradientOf,
  kernelNames,
  operationOf,
  raggedSize,
  rowOf,
  storagesRead,
  toTensors,
  variables,
} from '@blt-ts/autograd/testing';
import { createReferenceBackend, run, scope } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../support/backends.ts';
import { holdLaws, property } from '../support/property.ts';

const rows = kernelNames.map((kernel) => ({ kernel, row: rowOf(kernel), gradient: gradientOf(rowOf(kernel)) }));
const differentiable = rows.flatMap(({ kernel, row, gradient }) => (gradient ? [{ kernel, row, gradient }] : []));
const { backend } = reference64;

describe('the laws of every operation', () => {
  for (const { kernel } of differentiable) holdLaws(gradientLaws(operationOf(kernel), { backends }));
});

describe('a rule reads all that it says, on one input or another', () => {
  for (const { kernel, row, gradient } of differentiable) {
    const { reads, vjp } = rules[kernel] as Rule<typeof kernel>;
    test(kernel, () => {
      const own = createReferenceBackend();
      const seen = new Set<number | 'out'>();
      for (const c of fc.sample(row.cases(fc.constant(2)), { numRuns: 10, seed: 1 })) {
        scope(() => {
          const ins = toTensors(c.ins, own);
          const outs = run(kernel, ins, c.attrs);
          const g = affine(outs[0], 1);
          const read = storagesRead(own, () =>
            vjp(g, { ins, outs, attrs: c.attrs, needs: ins.map((_, i) => variables(c, gradient).includes(i)) }),
          );
          ins.forEach((x, i) => {
            if (read.has(x.storage)) seen.add(i);
          });
          if (outs.some((y) => read.has(y.storage))) seen.add('out');
        });
      }
      expect(seen).toEqual(new Set([...reads.ins, ...(reads.outs ? ['out'] : [])]));
    });
  }
});

describe('kernels without a gradient refuse one', () => {
  for (const { kernel, row } of rows) {
    const { gradient } = row;
    if (!('refused' in gradient)) continue;
    test(kernel, () => {
      const [c] = fc.sample(row.cases(fc.constant(2)), { numRuns: 1, seed: 1 });
      scope(() => {
        const ins = toTensors(c.ins, backend);
        expect(() =>
          grad((x: (typeof ins)[number]) => sum(applyAll(kernel, [x, ...ins.slice(1)], c.attrs)[0] ?? x))(ins[0]),
        ).toThrow(new Error(gradient.refused));
      });
    });
  }
});

describe.each(backends)('on $name', (tested) => {
  describe('the operation is the kernel', () => {
    for (const { kernel, row, gradient } of differentiable) {
      property(kernel, row.cases(raggedSize), 5, ({ ins, attrs }) =>
        scope(() => {
          const tensors = toTensors(ins, tested.backend);
          const [direct] = run(kernel, tensors, attrs);
          const called = gradient.operation(tensors, attrs);
          expect(called.shape).toEqual(direct.shape);
          expect(called.readSync()).toEqual(direct.readSync());
          expect(apply(kernel, tensors, attrs).readSync()).toEqual(direct.readSync());
        }),
      );
    }
  });
});

describe('operations refuse wrong values', () => {
  for (const { kernel, row, gradient } of differentiable) {
    const refusals = row.refusals.filter((r) => r.byOperation || r.error);
    if (refusals.length === 0) continue;
    test(kernel, () => {
      for (const { ins, attrs, message } of refusals) {
        scope(() => expect(() => gradient.operation(toTensors(ins, backend), attrs)).toThrow(message));
      }
    });
  }
});
