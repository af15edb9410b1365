/** @file A sign error in any rule is caught. */
import { affine, type Cotangent, exp, gradcheck, RowSparse, rules } from '@blt-ts/autograd';
import { gradientOf, kernelNames, ofVariables, rowOf, smallSize, toTensor, variables } from '@blt-ts/autograd/testing';
import { scope, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { reference64 } from '../support/backends.ts';

interface AnyRule {
  vjp: (...args: never[]) => (Cotangent | null)[];
}

const { backend } = reference64;
const table = rules as unknown as Record<string, AnyRule>;

const negated = (c: Cotangent): Cotangent =>
  c instanceof RowSparse
    ? new RowSparse(
        c.shape,
        c.parts.map((part) => ({ ...part, rows: affine(part.rows, -1) })),
      )
    : affine(c, -1);

/** The rule with the sign of its gradient for input i turned. */
const withSignError = (rule: AnyRule, i: number): AnyRule => ({
  ...rule,
  vjp: (...args) => rule.vjp(...args).map((c, at) => (c && at === i ? negated(c) : c)),
});

let caught = 0;
let total = 0;

describe('a sign error in any rule is caught', () => {
  for (const kernel of kernelNames) {
    const row = rowOf(kernel);
    const gradient = gradientOf(row);
    if (!gradient) continue;
    const cases = fc
      .sample(row.cases(smallSize), { numRuns: 80, seed: 7 })
      .map((c) => gradient.smooth?.(c as never) ?? c);
    const floats = Math.max(...cases.map((c) => variables(c as never, gradient).length));
    for (let which = 0; which < floats; which++) {
      test(`${kernel}, input ${which}`, () => {
        const rule = table[kernel];
        let noticed = false;
        // Comparisons have the gradient 0 everywhere: there is no sign to turn.
        let matters = false;
        try {
          for (const c of cases) {
            const places = variables(c as never, gradient);
            if (which >= places.length || noticed) continue;
            const points = () => places.map((i) => toTensor(c.ins[i] as never, backend));
            const f = ofVariables(gradient.operation, c as never, gradient);
            table[kernel] = {
              ...rule,
              vjp: (...args) => {
                const found = rule.vjp(...args);
                matters ||= found[places[which]] !== null;
                return found;
              },
            };
            scope(() => gradcheck((...xs) => f(xs), points()));
            table[kernel] = withSignError(rule, places[which]);
            try {
              scope(() => gradcheck((...xs) => f(xs), points()));
              // gradcheck itself sums and reshapes: two turned signs of theirs would cancel where the operation is one of them.
              scope(() => gradcheck(exp, [tensor([0.5, 0.25], undefined, { backend })]));
            } catch {
              noticed = true;
            }
          }
        } finally {
          table[kernel] = rule;
        }
        if (!matters) return;
        total++;
        if (noticed) caught++;
        expect(noticed).toBe(true);
      });
    }
  }

  afterAll(() => {
    process.stdout.write(`sign errors in gradient rules: ${caught} of ${total} caught\n`);
  });
});
