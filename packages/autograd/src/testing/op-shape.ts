/** @file Op rows: kernels that move elements. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { at, blank, exact, type OpRows, product, range, tabulate } from './op-row.ts';
import { droppedAxes, floats, repeatedAxes, shapes } from './op-values.ts';

/** Two shapes of the same number of elements: the axes of one merged, and some of size 1 added. */
const reshapeCases = (size: fc.Arbitrary<number>) =>
  fc.tuple(shapes(size), fc.boolean(), fc.nat({ max: 2 })).chain(([shape, merge, extra]) =>
    fc.record({
      ins: fc.tuple(floats(shape)),
      attrs: fc.constant({
        shape: [...range(extra).map(() => 1), ...(merge ? [product(shape)] : [...shape].reverse())],
      }),
    }),
  );

const transposeCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) =>
    fc.record({
      ins: fc.tuple(floats(shape)),
      attrs: fc.record({ perm: fc.shuffledSubarray(range(shape.length), { minLength: shape.length }) }),
    }),
  );

const broadcastCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) =>
    fc.tuple(droppedAxes(shape.length), repeatedAxes).chain(([dropped, repeated]) =>
      fc.record({
        ins: fc.tuple(floats(shape.map((d, i) => (repeated[i] ? 1 : d)).slice(dropped))),
        attrs: fc.constant({ shape }),
      }),
    ),
  );

const sliceCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) =>
    fc
      .tuple(floats(shape), ...shape.map((d) => fc.tuple(fc.nat({ max: d }), fc.nat({ max: d }))))
      .map(([x, ...bounds]) => ({
        ins: [x],
        attrs: { begin: bounds.map(([a, b]) => Math.min(a, b)), end: bounds.map(([a, b]) => Math.max(a, b)) },
      })),
  );

const padCases = (size: fc.Arbitrary<number>) =>
  shapes(size).chain((shape) =>
    fc
      .tuple(floats(shape), ...shape.map(() => fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 }))))
      .map(([x, ...bounds]) => ({
        ins: [x],
        attrs: { before: bounds.map(([b]) => b), after: bounds.map(([, a]) => a) },
      })),
  );

const concatCases = (size: fc.Arbitrary<number>) =>
  fc
    .tuple(shapes(size, 1), fc.nat({ max: 2 }), fc.array(size, { minLength: 1, maxLength: 3 }))
    .chain(([shape, pick, widths]) => {
      const axis = pick % shape.length;
      return fc.record({
        ins: fc.tuple(...widths.map((width) => floats(shape.map((d, i) => (i === axis ? Math.min(width, 5) : d))))),
        attrs: fc.constant({ axis }),
      });
    });

export const shapeOps: OpRows<'reshape' | 'transpose' | 'broadcastTo' | 'slice' | 'pad' | 'concat'> = {
  reshape: {
    cases: reshapeCases,
    define: ([x], { shape }) => [{ shape, values: x.values.map(exact) }],
    gradient: { operation: ([x], { shape }) => ag.reshape(x, shape) },
    refusals: [
      { ins: [blank(2, 3)], attrs: { shape: [4, 2] }, message: 'reshape: [2,3] holds 6 elements, [4,2] needs 8' },
      { ins: [blank(2, 3)], attrs: { shape: [] }, message: 'reshape: [2,3] holds 6 elements, [] needs 1' },
      {
        ins: [blank(2, 3)],
        attrs: { shape: [-2, -3] },
        message: 'reshape: shape [-2,-3] has size -2; sizes are whole numbers >= 0',
      },
      {
        ins: [blank(2, 3)],
        attrs: { shape: [-1, 4] },
        message: 'reshape: [2,3] holds 6 elements, not a multiple of 4',
        byOperation: true,
      },
      {
        ins: [blank(2, 3)],
        attrs: { shape: [-1, -1] },
        message: 'reshape: shape [-1,-1] has -1 twice; only one size can be what is left',
        byOperation: true,
      },
    ],
  },
  transpose: {
    cases: transposeCases,
    define: ([x], { perm }) => [
      tabulate(
        perm.map((p) => x.shape[p]),
        (...i) => exact(at(x, ...x.shape.map((_, axis) => i[perm.indexOf(axis)]))),
      ),
    ],
    gradient: { operation: ([x], { perm }) => ag.transpose(x, perm) },
    refusals: [[0], [0, 0], [1, 2], [0, 1, 2], [0.5, 1]].map((perm) => ({
      ins: [blank(2, 3)],
      attrs: { perm },
      message: `transpose: perm [${perm.join(',')}] is not an order of the 2 axes of [2,3]`,
    })),
  },
  broadcastTo: {
    cases: broadcastCases,
    define: ([x], { shape }) => [tabulate(shape, (...i) => exact(at(x, ...i)))],
    gradient: { operation: ([x], { shape }) => ag.broadcastTo(x, shape) },
    refusals: [
      { ins: [blank(2, 3)], attrs: { shape: [3] }, message: 'broadcastTo: [2,3] does not broadcast to [3]' },
      { ins: [blank(2, 3)], attrs: { shape: [2, 1] }, message: 'broadcastTo: [2,3] does not broadcast to [2,1]' },
      {
        ins: [blank(2, 3)],
        attrs: { shape: [2, 4] },
        message: 'broadcastTo: shapes [2,3] and [2,4] do not broadcast: 3 != 4 on axis -1',
      },
      {
        ins: [blank(1)],
        attrs: { shape: [-3] },
        message: 'broadcastTo: shape [-3] has size -3; sizes are whole numbers >= 0',
      },
    ],
  },
  slice: {
    cases: sliceCases,
    define: ([x], { begin, end }) => [
      tabulate(
        begin.map((b, axis) => end[axis] - b),
        (...i) => exact(at(x, ...i.map((own, axis) => own + begin[axis]))),
      ),
    ],
    gradient: { operation: ([x], { begin, end }) => ag.slice(x, begin, end) },
    refusals: [
      { ins: [blank(2, 3)], attrs: { begin: [0], end: [1] }, message: 'slice: 1 bounds for the 2 axes of [2,3]' },
      {
        ins: [blank(2, 3)],
        attrs: { begin: [0, 1], end: [2, 4] },
        message: 'slice: bounds 1:4 leave axis 1 of [2,3], which has size 3',
      },
      {
        ins: [blank(2, 3)],
        attrs: { begin: [-1, 0], end: [2, 3] },
        message: 'slice: bounds -1:2 leave axis 0 of [2,3], which has size 2',
      },
      {
        ins: [blank(2, 3)],
        attrs: { begin: [2, 0], end: [1, 3] },
        message: 'slice: bounds 2:1 leave axis 0 of [2,3], which has size 2',
      },
      {
        ins: [blank(2, 3)],
        attrs: { begin: [0, 0], end: [1.5, 3] },
        message: 'slice: bounds 0:1.5 leave axis 0 of [2,3], which has size 2',
      },
    ],
  },
  pad: {
    cases: padCases,
    define: ([x], { before, after }) => [
      tabulate(
        x.shape.map((d, i) => before[i] + d + after[i]),
        (...i) => {
          const own = i.map((p, axis) => p - before[axis]);
          return exact(own.every((p, axis) => p >= 0 && p < x.shape[axis]) ? at(x, ...own) : 0);
        },
      ),
    ],
    gradient: { operation: ([x], { before, after }) => ag.pad(x, before, after) },
    refusals: [
      {
        ins: [blank(2, 3)],
        attrs: { before: [1], after: [0, 0] },
        message: 'pad: bounds [1] and [0,0] do not fit [2,3]',
      },
      {
        ins: [blank(2, 3)],
        attrs: { before: [1, 0], after: [0] },
        message: 'pad: bounds [1,0] and [0] do not fit [2,3]',
      },
      {
        ins: [blank(2, 3)],
        attrs: { before: [-1, 0], after: [0, 0] },
        message: 'pad: bounds [-1,0] and [0,0] do not fit [2,3]',
      },
      {
        ins: [blank(2, 3)],
        attrs: { before: [0, 0], after: [0, 0.5] },
        message: 'pad: bounds [0,0] and [0,0.5] do not fit [2,3]',
      },
    ],
  },
  concat: {
    cases: concatCases,
    define: (ins, { axis }) => {
      // Which input and where in it: the axis counts through the inputs one after the other.
      const places = ins.flatMap((x) => range(x.shape[axis]).map((own) => ({ x, own })));
      return [
        tabulate(
          ins[0].shape.map((d, i) => (i === axis ? places.length : d)),
          (...i) => {
            const { x, own } = places[i[axis]];
            return exact(at(x, ...i.map((p, a) => (a === axis ? own : p))));
          },
        ),
      ];
    },
    gradient: { operation: (ins, { axis }) => ag.concat(ins, axis) },
    refusals: [
      { ins: [blank(2, 3), blank(3, 3)], attrs: { axis: 1 }, message: 'concat: [2,3] and [3,3] differ outside axis 1' },
      { ins: [blank(2, 3), blank(2)], attrs: { axis: 0 }, message: 'concat: [2,3] and [2] differ outside axis 0' },
      { ins: [blank(2, 3)], attrs: { axis: 2 }, message: 'concat: axis 2 is out of range for [2,3]' },
      { ins: [blank(2, 3)], attrs: { axis: -1 }, message: 'concat: axis -1 is out of range for [2,3]' },
      { ins: [blank(2, 3)], attrs: { axis: 0.5 }, message: 'concat: axis 0.5 is out of range for [2,3]' },
      { ins: [blank()], attrs: { axis: 0 }, message: 'concat: axis 0 is out of range for []' },
    ],
  },
};
