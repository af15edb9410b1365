/** @file Op rows: root-mean-square normalisation. */

import fc from 'fast-check';
import * as ag from '../index.ts';
import { at, blank, magnitude, type OpRows, off, plain, range, rowAt, rowsOf, tabulate, ulps } from './op-row.ts';
import { floats, shapes } from './op-values.ts';

const eps = fc.constantFrom(1e-5, 0.5);

const normCases = (size: fc.Arbitrary<number>) =>
  shapes(size, 1).chain((shape) => fc.tuple(floats(shape), floats([shape.at(-1)!]), floats(shape)));

const rms = (row: readonly number[], e: number): number => (plain(row.map((x) => x ** 2)) / row.length + e) ** 0.5;

export const normOps: OpRows<'rmsNorm' | 'rmsNormBackward'> = {
  rmsNorm: {
    cases: (size) => fc.record({ ins: normCases(size).map(([x, w]) => [x, w]), attrs: fc.record({ eps }) }),
    define: ([x, w], a) => [
      tabulate(x.shape, (...i) => ulps((at(x, ...i) * at(w, i.at(-1)!)) / rms(rowAt(x, i), a.eps), w.shape[0] + 8)),
    ],
    gradient: {
      operation: ([x, w], a) => ag.rmsNorm(x, w, a.eps),
      composed: ([x, w], a) => ag.composed.rmsNorm(x, w, a.eps),
      // At eps 1e-5 a row near 0 bends too sharply for a difference quotient; 0.5 keeps eps visible.
      smooth: (c) => ({ ...c, attrs: { eps: 0.5 } }),
    },
    refusals: [
      { ins: [blank(), blank(1)], attrs: { eps: 1e-5 }, message: 'rmsNorm: x needs at least one axis' },
      { ins: [blank(2, 3), blank(2)], attrs: { eps: 1e-5 }, message: 'rmsNorm: w must be [3], got [2]' },
      { ins: [blank(2, 3), blank(1, 3)], attrs: { eps: 1e-5 }, message: 'rmsNorm: w must be [3], got [1,3]' },
    ],
  },
  rmsNormBackward: {
    cases: (size) => fc.record({ ins: normCases(size), attrs: fc.record({ eps }) }),
    // Row by row the Jacobian dy_j / dx_c = w_j ([j = c] / rms - x_j x_c / (C rms^3)), applied to g.
    define: ([x, w, g], a) => {
      const C = w.shape[0];
      const dx = tabulate(x.shape, (...index) => {
        const c = index.at(-1)!;
        const row = rowAt(x, index);
        const rowG = rowAt(g, index);
        const s = rms(row, a.eps);
        const own = (rowG[c] * w.values[c]) / s;
        const others = range(C).map((j) => (-rowG[j] * w.values[j] * row[j] * row[c]) / (C * s ** 3));
        return off(own + plain(others), (C + 4) * Math.abs(own) + (3 * C + 20) * magnitude(others));
      });
      const [rows, rowsG] = [rowsOf(x), rowsOf(g)];
      const roots = rows.map((row) => rms(row, a.eps));
      const dw = tabulate(w.shape, (c) => {
        const terms = rows.map((row, i) => (rowsG[i][c] * row[c]) / roots[i]);
        return off(plain(terms), (terms.length + C + 8) * magnitude(terms));
      });
      return [dx, dw];
    },
    gradient: { gradientOf: 'rmsNorm' },
    refusals: [
      {
        ins: [blank(2, 3), blank(3), blank(3)],
        attrs: { eps: 1e-5 },
        message: 'rmsNormBackward: g must be [2,3], got [3]',
      },
    ],
  },
};
