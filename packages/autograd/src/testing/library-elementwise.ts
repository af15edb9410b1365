/** @file Rows of the library: functions of one element or two, comparisons, logic. */

import type { Tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import * as ag from '../index.ts';
import { type LibraryRow, row } from './library-row.ts';
import { errorFunction } from './op-elementwise.ts';
import { type Approx, at, blank, exact, f32, type OpCase, off, tabulate, ulps } from './op-row.ts';
import { broadcastable, distinct, floats, number, positive, shapes } from './op-values.ts';

const unary = <A>(
  operation: (x: Tensor, attrs: A) => Tensor,
  f: (x: number, attrs: A) => Approx,
  attrs: fc.Arbitrary<A>,
  options: Pick<LibraryRow<A>, 'smooth' | 'refusals'> & { domain?: fc.Arbitrary<number>; kinks?: true } = {},
): LibraryRow<never> =>
  row<A>({
    cases: (size) => shapes(size).chain((shape) => fc.record({ ins: fc.tuple(floats(shape, options.domain)), attrs })),
    define: ([x], a) => tabulate(x.shape, (...i) => f(at(x, ...i), a)),
    operation: ([x], a) => operation(x, a),
    smooth: options.smooth ?? (options.kinks && distinct),
    refusals: options.refusals,
  });

/** Arguments four times as near to 1: beside the square of x^65, up to 2e5 there, a difference quotient loses one near 1e-6. */
const nearOne = <A>({ ins: [x], attrs }: OpCase<A>): OpCase<A> => ({
  ins: [
    f32(
      x.shape,
      x.values.map((v) => 1 + (v - 1) / 4),
    ),
  ],
  attrs,
});

const none = fc.constant({});
/** Ordinary numbers, and some so near 0 that 1 + x is 1. */
const nearZero = fc.oneof(
  number,
  number.map((x) => x * 2 ** -26),
);
const aboveMinusOne = nearZero.filter((x) => x > -0.9);

/** A result whose terms are of the size of x or 1. */
const near = (y: number, x: number, count = 16): Approx => off(y, count * Math.max(1, Math.abs(x)));

/** @param kernel the one that sees the shapes */
const binary = (
  kernel: string,
  operation: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => Approx,
  options: { first?: fc.Arbitrary<number>; second?: fc.Arbitrary<number>; kinks?: boolean; swapped?: true } = {},
): LibraryRow<never> =>
  row<object>({
    cases: (size) =>
      broadcastable(size, 2).chain(([a, b]) =>
        fc.record({ ins: fc.tuple(floats(a, options.first), floats(b, options.second)), attrs: none }),
      ),
    define: ([a, b]) => {
      const rank = Math.max(a.shape.length, b.shape.length);
      const size = (x: readonly number[], i: number) => x[i - rank + x.length] ?? 1;
      const shape = Array.from({ length: rank }, (_, i) => {
        const [m, n] = [size(a.shape, i), size(b.shape, i)];
        return m === 1 ? n : m;
      });
      return tabulate(shape, (...i) => f(at(a, ...i), at(b, ...i)));
    },
    operation: ([a, b]) => operation(a, b),
    smooth: options.kinks === false ? undefined : distinct,
    refusals: [
      {
        ins: [blank(2, 3), blank(2, 4)],
        attrs: {},
        message: `${kernel}: shapes ${options.swapped ? '[2,4] and [2,3]' : '[2,3] and [2,4]'} do not broadcast: ${options.swapped ? '4 != 3' : '3 != 4'} on axis -1`,
      },
    ],
  });

const truth = (x: boolean): Approx => exact(Number(x));

export const libraryElementwise: Record<string, LibraryRow<never>> = {
  expm1: unary(
    (x) => ag.expm1(x),
    (x) => ulps(Math.expm1(x), 16),
    none,
    { domain: nearZero },
  ),
  log1p: unary(
    (x) => ag.log1p(x),
    (x) => ulps(Math.log1p(x), 24),
    none,
    { domain: aboveMinusOne },
  ),
  gelu: unary(
    (x, a) => ag.gelu(x, a),
    (x, { approximate }) => {
      const inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
      return near((x / 2) * (1 + (approximate === 'tanh' ? Math.tanh(inner) : errorFunction(x / Math.SQRT2))), x, 32);
    },
    fc.record({ approximate: fc.constantFrom('none' as const, 'tanh' as const) }),
    {
      refusals: [
        {
          ins: [blank(1)],
          attrs: { approximate: 'erf' as 'none' },
          message: `gelu: approximate must be 'none' or 'tanh', got the string "erf"`,
        },
      ],
    },
  ),
  softplus: unary(
    (x) => ag.softplus(x),
    (x) => near(Math.log(1 + Math.exp(x)), x),
    none,
  ),
  logSigmoid: unary(
    (x) => ag.logSigmoid(x),
    (x) => near(-Math.log(1 + Math.exp(-x)), x),
    none,
  ),
  elu: unary(
    (x, { alpha }) => ag.elu(x, alpha),
    (x, { alpha }) => ulps(x > 0 ? x : alpha * Math.expm1(x), 32),
    fc.record({ alpha: positive }),
    { kinks: true },
  ),
  leakyRelu: unary(
    (x, { slope }) => ag.leakyRelu(x, slope),
    (x, { slope }) => ulps(x > 0 ? x : slope * x, 2),
    fc.record({ slope: fc.oneof(number, fc.constant(0)) }),
    { kinks: true },
  ),
  clip: unary(
    (x, [low, high]) => ag.clip(x, low, high),
    (x, [low, high]) => exact([low, x, high].sort((a, b) => a - b)[1]),
    fc.constant([-0.75, 1.5] as [number, number]),
    { kinks: true },
  ),
  'pow, a number for the exponent': unary(
    (x, b) => ag.pow(x, b),
    (x, b) => ulps(x ** b, 32 + 16 * Math.abs(b * Math.log(x))),
    fc.constantFrom(0, 1, 2, 3, 7, -1, -2, 0.5, 1.3, -0.7, 65),
    { domain: fc.integer({ min: 922, max: 1126 }).map((i) => i / 1024), smooth: nearOne },
  ),
  'pow, a number for the base': unary(
    (x) => ag.pow(2, x),
    (x) => ulps(2 ** x, 64),
    none,
  ),
  pow: binary('mul', ag.pow, (a, b) => ulps(a ** b, 32 + 16 * Math.abs(b * Math.log(a))), {
    first: positive,
    // A fourth of a result of 1000 is all that a difference quotient of its square can see of another one near 1.
    second: number.map((x) => x / 2),
    kinks: false,
    swapped: true,
  }),
  less: binary('greater', ag.less, (a, b) => truth(b > a), { swapped: true }),
  lessEqual: binary('greater', ag.lessEqual, (a, b) => truth(!(a > b)), { swapped: true }),
  greaterEqual: binary('greater', ag.greaterEqual, (a, b) => truth(!(b > a))),
  logicalAnd: binary('mul', ag.logicalAnd, (a, b) => truth(a * b !== 0)),
  logicalOr: binary('maximum', ag.logicalOr, (a, b) => truth(a ** 2 + b ** 2 > 0)),
  logicalNot: unary(
    (x) => ag.logicalNot(x),
    (x) => truth(!x),
    none,
    { kinks: true },
  ),
};
