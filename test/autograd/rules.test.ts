/** @file The table of rules, each kernel of it: limits of difference quotients, values read, refusals. */
import { affine, apply, applyAll, grad, gradcheck, type Rule, rules, sum } from '@blt-ts/autograd';
import { createReferenceBackend, run, scope, type Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../support/backends.ts';
import {
  evaluate,
  flatGradient,
  gradientOf,
  longestAxis,
  ofVariables,
  relativeDistance,
  variables,
} from '../support/op-gradient.ts';
import type { Case } from '../support/op-row.ts';
import { storagesRead, toTensor, toTensors } from '../support/op-run.ts';
import { kernelNames, rowOf } from '../support/op-table.ts';
import { raggedSize, smallSize } from '../support/op-values.ts';
import { property } from '../support/property.ts';

const rows = kernelNames.map((kernel) => ({ kernel, row: rowOf(kernel), gradient: gradientOf(rowOf(kernel)) }));
const differentiable = rows.flatMap(({ kernel, row, gradient }) => (gradient ? [{ kernel, row, gradient }] : []));
const { backend } = reference64;

/** Small cases away from kinks. */
const smoothCases = ({ row, gradient }: (typeof differentiable)[number]): fc.Arbitrary<Case<never>> =>
  row.cases(smallSize).map((c) => gradient.smooth?.(c) ?? c) as fc.Arbitrary<Case<never>>;

describe('the gradient of every operation is the limit of its difference quotients', () => {
  for (const op of differentiable) {
    property(op.kernel, smoothCases(op), 20, (c) => {
      const f = ofVariables(op.gradient.operation, c, op.gradient);
      scope(() =>
        gradcheck(
          (...xs) => f(xs),
          variables(c, op.gradient).map((i) => toTensor(c.ins[i], backend)),
        ),
      );
    });
  }
});

describe('the gradient of the gradient too, unless the operation is fused', () => {
  for (const op of differentiable.filter(({ gradient }) => gradient.order === 2)) {
    property(op.kernel, smoothCases(op), 8, (c) => {
      const f = flatGradient(ofVariables(op.gradient.operation, c, op.gradient));
      scope(() =>
        gradcheck(
          (...xs) => f(xs),
          variables(c, op.gradient).map((i) => toTensor(c.ins[i], backend)),
        ),
      );
    });
  }
});

/** f of copies that only live in a scope of their own: what its rule does not claim to read is freed before walking back. */
const inScope =
  (f: (xs: readonly Tensor[]) => Tensor) =>
  (...xs: Tensor[]): Tensor =>
    scope(() => affine(f(xs.map((x) => affine(x, 1))), 1));

const inScopeOf = (f: (xs: readonly Tensor[]) => Tensor) => (xs: readonly Tensor[]) => inScope(f)(...xs);

describe('a rule reads no more than it says', () => {
  for (const op of differentiable) {
    property(op.kernel, smoothCases(op), 8, (c) => {
      const f = ofVariables(op.gradient.operation, c, op.gradient);
      const points = () => variables(c, op.gradient).map((i) => toTensor(c.ins[i], backend));
      scope(() => gradcheck(inScope(f), points()));
      if (op.gradient.order === 2) scope(() => gradcheck(inScope(flatGradient(inScopeOf(f))), points()));
    });
  }
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

describe('the gradient for one input alone is that for all of them together', () => {
  for (const op of differentiable) {
    const { kernel, gradient } = op;
    const [sample] = fc.sample(smoothCases(op), { numRuns: 1, seed: 1 });
    if (variables(sample, gradient).length < 2) continue;
    property(kernel, smoothCases(op), 5, (c) => {
      const which = variables(c, gradient);
      const together = evaluate(gradient.operation, c, gradient, backend).grads;
      which.forEach((own, i) => {
        const constants = [...which.filter((other) => other !== own), ...(gradient.constants ?? [])];
        const [alone] = evaluate(gradient.operation, c, { ...gradient, constants }, backend).grads;
        expect(alone, `input ${own}`).toEqual(together[i]);
      });
    });
  }
});

describe('a fused operation refuses a second derivative and names the way out', () => {
  for (const { kernel, row, gradient } of differentiable.filter((op) => op.gradient.order === 1)) {
    test(kernel, () => {
      const [c] = fc.sample(row.cases(fc.constant(2)), { numRuns: 1, seed: 1 });
      const f = flatGradient(ofVariables(gradient.operation, c, gradient));
      const before = backend.bytesInUse;
      scope(() => {
        const xs = variables(c, gradient).map((i) => toTensor(c.ins[i], backend));
        expect(() => grad((inputs: typeof xs) => sum(f(inputs)))(xs)).toThrow(new Error(gradient.refusedTwice));
      });
      expect(backend.bytesInUse).toBe(before);
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

  describe('gradients in 32 bits stay near those in 64', () => {
    for (const { kernel, row, gradient } of differentiable) {
      property(
        kernel,
        row.cases(raggedSize).map((c) => gradient.smooth?.(c) ?? c),
        10,
        (c) => {
          const got = evaluate(gradient.operation, c, gradient, tested.backend);
          const want = evaluate(gradient.operation, c, gradient, backend);
          // A rule is a few kernels in a row, each within its own bound: some hundred roundoffs, and the sums.
          const bound = (256 + 4 * longestAxis(c.ins)) * tested.roundoff;
          got.grads.forEach((g, i) => {
            expect(relativeDistance(g, want.grads[i]), `gradient ${i}`).toBeLessThan(bound);
          });
        },
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
