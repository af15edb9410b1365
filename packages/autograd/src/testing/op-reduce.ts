/** @file Op rows: reductions. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { blank, exact, magnitude, type OpRows, off, plain, product, reduceBy, total } from './op-row.ts';
import { distinct, floats, shapes, someAxes } from './op-values.ts';

const reductionCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) =>
    fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.record({ axes: someAxes(shape.length) }) }),
  );

const axisRefusals = (op: string) => [
  { ins: [blank(2, 3)], attrs: { axes: [2] }, message: `${op}: axis 2 is out of range for rank 2; use -2..1` },
  { ins: [blank(2, 3)], attrs: { axes: [-3] }, message: `${op}: axis -3 is out of range for rank 2; use -2..1` },
  { ins: [blank(2, 3)], attrs: { axes: [0.5] }, message: `${op}: axis 0.5 is out of range for rank 2; use -2..1` },
  { ins: [blank(2, 3)], attrs: { axes: [1, -1] }, message: `${op}: axis named twice in [1,1]` },
];

export const reduceOps: OpRows<'sum' | 'max' | 'sumSquares' | 'variance'> = {
  sum: {
    cases: reductionCases,
    define: ([x], { axes }) => [reduceBy(x, axes, total)],
    gradient: { operation: ([x], { axes }) => ag.sum(x, { axes, keepDims: true }) },
    refusals: axisRefusals('sum'),
  },
  max: {
    cases: reductionCases,
    define: ([x], { axes }) => [
      reduceBy(x, axes, (elements) => exact(elements.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY))),
    ],
    gradient: {
      operation: ([x], { axes }) => ag.max(x, { axes, keepDims: true }),
      // The largest of nothing is -Infinity: it has no difference quotient to compare with.
      smooth: (c) => (product(c.ins[0].shape) === 0 ? { ins: [blank(1)], attrs: { axes: [0] } } : distinct(c)),
    },
    refusals: axisRefusals('max'),
  },
  sumSquares: {
    cases: (size) => shapes(size).chain((shape) => fc.record({ ins: fc.tuple(floats(shape)), attrs: fc.constant({}) })),
    define: ([x]) => [
      {
        shape: [],
        values: [off(plain(x.values.map((v) => v ** 2)), x.values.length * plain(x.values.map((v) => v ** 2)))],
      },
    ],
    gradient: { operation: ([x]) => ag.sumSquares(x) },
    refusals: [],
  },
  variance: {
    cases: (size) =>
      shapes(size, 1).chain((shape) =>
        fc.record({
          // At least one element, because the variance of nothing is no number.
          ins: fc.tuple(floats(shape.map((d, i) => (i === shape.length - 1 ? Math.max(1, d) : d)))),
          // No whole number, so that nothing is divided by 0.
          attrs: fc.record({ correction: fc.constantFrom(-0.5, 0.5) }),
        }),
      ),
    define: ([x], { correction }) => [
      reduceBy(x, [x.shape.length - 1], (xs) => {
        const n = xs.length;
        const mean = plain(xs) / n;
        const value = plain(xs.map((v) => (v - mean) ** 2)) / Math.max(0, n - correction);
        // The mean is off by up to (n + 2) u mean |x|. The deviations then do not add up to 0, and their squares are off by its square.
        const shift = ((n + 2) * magnitude(xs)) / n;
        return off(value, (n + 8) * Math.abs(value) + (n * shift ** 2 * 2 ** -24) / Math.abs(n - correction));
      }),
    ],
    gradient: {
      operation: ([x], { correction }) => ag.variance(x, { axes: -1, keepDims: true, correction }),
      composed: ([x], { correction }) => ag.composed.variance(x, correction),
    },
    refusals: [{ ins: [blank()], attrs: { correction: 1 }, message: 'variance: x needs at least one axis' }],
  },
};
