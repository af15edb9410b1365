/** @file Rows of the library: convolutions and pooling. */
import fc from 'fast-check';
import * as ag from '../index.ts';
import { type LibraryRow, row } from './library-row.ts';
import { type Arr, at, blank, exact, indices, off, range, tabulate, total } from './op-row.ts';
import { distinct, floats } from './op-values.ts';

interface Windows {
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly groups: number;
}

const windowOptions = fc.record({
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.nat({ max: 2 }),
  dilation: fc.integer({ min: 1, max: 2 }),
});

/** x[n, c, ...place - padding], `beyond` outside. */
const element = (x: Arr, n: number, c: number, place: readonly number[], beyond: number): number =>
  place.every((p, i) => p >= 0 && p < x.shape[i + 2]) ? at(x, n, c, ...place) : beyond;

const places = (x: Arr, size: readonly number[], { stride, padding, dilation }: Windows): number[] =>
  size.map((k, i) => Math.floor((x.shape[i + 2] + 2 * padding - dilation * (k - 1) - 1) / stride) + 1);

const misfits: LibraryRow<Windows>['refusals'] = [
  {
    ins: [blank(1, 3, 4), blank(2, 2, 1), blank(2)],
    attrs: { stride: 1, padding: 0, dilation: 1, groups: 1 },
    message: 'conv1d: x [1,3,4] and weight [2,2,1] do not fit in 1 groups: 3 channels, 2 a group, 2 results',
  },
  {
    ins: [blank(1, 1, 2), blank(1, 1, 2), blank(1)],
    attrs: { stride: 1, padding: 0, dilation: 2, groups: 1 },
    message: 'conv1d: a window [2] with dilation [2] does not fit into [2]',
  },
  {
    ins: [blank(1, 2), blank(1, 1, 2), blank(1)],
    attrs: { stride: 1, padding: 0, dilation: 1, groups: 1 },
    message: 'conv1d: x must have 3 axes, got [1,2]',
  },
  {
    ins: [blank(1, 1, 2), blank(1, 1, 2), blank(1)],
    attrs: { stride: 0, padding: 0, dilation: 1, groups: 1 },
    message: 'conv1d: stride [0] must be 1 whole numbers, each at least 1',
  },
];

const convolution = (axes: 1 | 2): LibraryRow<never> =>
  row<Windows>({
    cases: (size) =>
      fc
        .tuple(
          fc.integer({ min: 1, max: 2 }),
          fc.integer({ min: 1, max: 2 }),
          fc.integer({ min: 1, max: 2 }),
          size,
          windowOptions,
        )
        .chain(([N, groups, per, d, window]) => {
          const K = range(axes).map((i) => 1 + ((d + i) % 2));
          // As long as the widest window.
          const sizes = range(axes).map((i) => Math.min(d, 4) + 3 + i);
          return fc.record({
            ins: fc.tuple(floats([N, groups * per, ...sizes]), floats([groups * 2, per, ...K]), floats([groups * 2])),
            attrs: fc.constant({ ...window, groups }),
          });
        }),
    define: ([x, w, b], options) => {
      const { stride, padding, dilation, groups } = options;
      const [O, per, ...K] = w.shape;
      return tabulate([x.shape[0], O, ...places(x, K, options)], (n, o, ...m) => {
        const terms = range(per).flatMap((c) =>
          indices(K).map((k) => {
            const place = m.map((p, i) => p * stride + k[i] * dilation - padding);
            return at(w, o, c, ...k) * element(x, n, Math.floor(o / (O / groups)) * per + c, place, 0);
          }),
        );
        const sum = total(terms);
        return off(sum.value + at(b, o), sum.error + 2 * (Math.abs(sum.value) + Math.abs(at(b, o))));
      });
    },
    operation: ([x, weight, bias], { groups, ...window }) =>
      (axes === 1 ? ag.conv1d : ag.conv2d)(x, weight, { ...window, groups, bias }),
    refusals: axes === 1 ? misfits : [],
  });

const pooling = (axes: 1 | 2, largest: boolean): LibraryRow<never> =>
  row<Windows>({
    cases: (size) =>
      fc.tuple(size, windowOptions).chain(([d, window]) =>
        fc.record({
          ins: fc.tuple(floats([2, 2, ...range(axes).map((i) => Math.min(d, 4) + 3 + i)])),
          attrs: fc.constant({ ...window, padding: Math.min(window.padding, 1), groups: 1 }),
        }),
      ),
    define: ([x], options) => {
      const { stride, padding, dilation } = options;
      const size = range(axes).map(() => 2);
      return tabulate([2, 2, ...places(x, size, options)], (n, c, ...m) => {
        const window = indices(size).map((k) =>
          element(
            x,
            n,
            c,
            m.map((p, i) => p * stride + k[i] * dilation - padding),
            largest ? Number.NEGATIVE_INFINITY : 0,
          ),
        );
        if (largest) return exact([...window].sort((a, b) => b - a)[0]);
        const sum = total(window);
        return off(sum.value / window.length, sum.error);
      });
    },
    operation: ([x], { stride, padding, dilation }) => {
      const pools = largest ? [ag.maxPool1d, ag.maxPool2d] : [ag.avgPool1d, ag.avgPool2d];
      return pools[axes - 1](x, 2, { stride, padding, dilation });
    },
    smooth: largest ? distinct : undefined,
  });

export const libraryWindows: Record<string, LibraryRow<never>> = {
  conv1d: convolution(1),
  conv2d: convolution(2),
  maxPool1d: pooling(1, true),
  maxPool2d: pooling(2, true),
  avgPool1d: pooling(1, false),
  avgPool2d: pooling(2, false),
};
