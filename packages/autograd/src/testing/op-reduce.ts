/** @file Op rows: reductions. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { type Arr, at, blank, exact, indices, type OpRows, off, plain, product, tabulate, total } from './op-row.ts';
import { distinct, floats, shapes, someAxes } from './op-values.ts';

/** The elements of x that are reduced into position `index`, whose reduced axes are 0. */
const reducedInto = (x: Arr, axes: readonly number[], index: readonly number[]): number[] =>
  indices(x.shape)
    .filter((own) => own.every((i, axis) => axes.includes(axis) || i === index[axis]))
    .map((own) => at(x, ...own));

const reducedShape = (x: Arr, axes: readonly number[]): number[] => x.shape.map((d, i) => (axes.includes(i) ? 1 : d));

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

export const reduceOps: OpRows<'sum' | 'max' | 'sumSquares'> = {
  sum: {
    cases: reductionCases,
    define: ([x], { axes }) => [tabulate(reducedShape(x, axes), (...i) => total(reducedInto(x, axes, i)))],
    gradient: { operation: ([x], { axes }) => ag.sum(x, { axes, keepDims: true }) },
    refusals: axisRefusals('sum'),
  },
  max: {
    cases: reductionCases,
    define: ([x], { axes }) => [tabulate(reducedShape(x, axes), (...i) => exact(Math.max(...reducedInto(x, axes, i))))],
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
};
