/** @file Op rows: the in-place kernels of the optimiser. `define` gives what the overwritten inputs hold afterwards. */
import type { AdamWAttrs } from '@blt-ts/tensor';
import fc from 'fast-check';
import {
  type Approx,
  type Arr,
  at,
  blank,
  type Expected,
  f32,
  i32,
  type OpRows,
  off,
  product,
  range,
} from './op-row.ts';
import { floats, number, positive, shapes } from './op-values.ts';

const inPlace = (kernel: string) => ({
  refused: `${kernel} overwrites a tensor that a gradient is being taken through; call it outside`,
});

const adamwAttrs: fc.Arbitrary<AdamWAttrs> = fc.record({
  lr: fc.constantFrom(0, 1e-3, 0.125),
  beta1: fc.constantFrom(0, 0.9, 0.5),
  // 1 - beta2^step loses 1 / (1 - beta2) roundoffs: near 1 the bound of 64-bit arithmetic would say nothing about 32 bits.
  beta2: fc.constantFrom(0, 0.96875, 0.95),
  eps: fc.constantFrom(1e-8, 1e-3),
  weightDecay: fc.constantFrom(0, 0.1, 0.5),
  step: fc.integer({ min: 1, max: 1000 }),
});

const usual: AdamWAttrs = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, step: 1 };

/** Algorithm 2 of Loshchilov & Hutter 2019 for one number, with the roundoffs that its products and sums may make. */
function adamw(p: number, m: number, v: number, gradient: number, a: AdamWAttrs): [Approx, Approx, Approx] {
  const [b1, b2] = [1 - a.beta1, 1 - a.beta2];
  const m1 = a.beta1 * m + b1 * gradient;
  const mError = 4 * (Math.abs(a.beta1 * m) + Math.abs(b1 * gradient));
  const v1 = a.beta2 * v + b2 * gradient ** 2;
  const correction = 1 - Math.exp(a.step * Math.log(a.beta1));
  const denominator = (v1 / (1 - Math.exp(a.step * Math.log(a.beta2)))) ** 0.5 + a.eps;
  const update = (a.lr * m1) / correction / denominator;
  const kept = p - p * a.lr * a.weightDecay;
  return [
    off(kept - update, 4 * Math.abs(kept) + 16 * Math.abs(update) + (a.lr * mError) / correction / denominator),
    off(m1, mError),
    off(v1, 6 * v1),
  ];
}

const three = (x: Arr, values: readonly (readonly Approx[])[]): Expected[] =>
  values.map((v) => ({ shape: x.shape, values: v }));

export const optimizerOps: OpRows<'adamw' | 'adamwRows' | 'adamwCatchUp' | 'lerp'> = {
  adamw: {
    cases: (size) =>
      shapes(size).chain((shape) =>
        fc.record({
          ins: fc.tuple(floats(shape), floats(shape), floats(shape, positive), floats(shape), floats([], number)),
          attrs: adamwAttrs,
        }),
      ),
    define: ([p, m, v, g, scale], a) => {
      const updated = p.values.map((_, i) =>
        adamw(p.values[i], m.values[i], v.values[i], g.values[i] * scale.values[0], a),
      );
      return three(
        p,
        [0, 1, 2].map((which) => updated.map((u) => u[which])),
      );
    },
    gradient: inPlace('adamw'),
    refusals: [
      {
        ins: [blank(2), blank(3), blank(2), blank(2), blank()],
        attrs: usual,
        message: 'adamw: first moment m must be [2], got [3]',
      },
      {
        ins: [blank(2), blank(2), blank(3), blank(2), blank()],
        attrs: usual,
        message: 'adamw: second moment v must be [2], got [3]',
      },
      {
        ins: [blank(2), blank(2), blank(2), blank(3), blank()],
        attrs: usual,
        message: 'adamw: gradient must be [2], got [3]',
      },
      {
        ins: [blank(2), blank(2), blank(2), blank(2), blank(1)],
        attrs: usual,
        message: 'adamw: gradScale must be [], got [1]',
      },
    ],
  },
  adamwRows: {
    cases: (size) =>
      fc.tuple(size, size).chain(([V, C]) =>
        fc.subarray(range(V)).chain((rows) =>
          fc.record({
            ins: fc.tuple(
              floats([V, C]),
              floats([V, C]),
              floats([V, C], positive),
              fc.constant(i32(rows)),
              floats([rows.length, C]),
              floats([], number),
            ),
            attrs: adamwAttrs,
          }),
        ),
      ),
    define: ([p, m, v, ids, g, scale], a) => {
      const C = p.shape[1];
      const updated = range(product(p.shape)).map((i) => {
        const u = ids.values.indexOf(Math.floor(i / C));
        if (u < 0) return [p, m, v].map((x) => off(x.values[i], 0));
        return adamw(p.values[i], m.values[i], v.values[i], at(g, u, i % C) * scale.values[0], a);
      });
      return three(
        p,
        [0, 1, 2].map((which) => updated.map((u) => u[which])),
      );
    },
    gradient: inPlace('adamwRows'),
    refusals: [
      { more: [i32([0]), blank(1, 3), blank()], p: blank(2), message: 'p must have 2 axes, got [2]' },
      { more: [i32([0], [1, 1]), blank(1, 3), blank()], message: 'ids must have 1 axes, got [1,1]' },
      { more: [i32([0]), blank(2, 3), blank()], message: 'gradient rows must be [1,3], got [2,3]' },
      { more: [i32([0]), blank(1, 3), blank(1)], message: 'gradScale must be [], got [1]' },
    ].map(({ p = blank(2, 3), more, message }) => ({
      ins: [p, p, p, ...more],
      attrs: usual,
      message: `adamwRows: ${message}`,
    })),
  },
  adamwCatchUp: {
    cases: (size) =>
      fc.tuple(size, size).chain(([V, C]) =>
        fc.subarray(range(V)).chain((rows) =>
          fc.record({
            ins: fc.tuple(
              floats([V, C]),
              floats([V, C]),
              // A second moment of 0 is that of a row that was never read: it drifts nowhere.
              floats([V, C], fc.oneof(positive, fc.constant(0))),
              fc.constant(i32(rows)),
              floats([rows.length, 5], fc.oneof(positive, fc.constant(0))),
            ),
            attrs: fc.constant({}),
          }),
        ),
      ),
    define: ([p, m, v, ids, factors]) => {
      const C = p.shape[1];
      const updated = range(product(p.shape)).map((i) => {
        const u = ids.values.indexOf(Math.floor(i / C));
        if (u < 0) return [p, m, v].map((x) => off(x.values[i], 0));
        const kept = p.values[i] * at(factors, u, 0);
        const root = Math.sqrt(v.values[i]) + at(factors, u, 4);
        const moved = root > 0 ? (at(factors, u, 3) * m.values[i]) / root : 0;
        return [
          off(kept - moved, 2 * Math.abs(kept) + 7 * Math.abs(moved)),
          off(m.values[i] * at(factors, u, 1), Math.abs(m.values[i] * at(factors, u, 1))),
          off(v.values[i] * at(factors, u, 2), Math.abs(v.values[i] * at(factors, u, 2))),
        ];
      });
      return three(
        p,
        [0, 1, 2].map((which) => updated.map((u) => u[which])),
      );
    },
    gradient: inPlace('adamwCatchUp'),
    refusals: [
      { more: [i32([0]), blank(1, 5)], p: blank(2), message: 'p must have 2 axes, got [2]' },
      { more: [i32([0], [1, 1]), blank(1, 5)], message: 'ids must have 1 axes, got [1,1]' },
      { more: [i32([0]), blank(1, 4)], message: 'factors must be [1,5], got [1,4]' },
    ].map(({ p = blank(2, 3), more, message }) => ({
      ins: [p, p, p, ...more],
      attrs: {},
      message: `adamwCatchUp: ${message}`,
    })),
  },
  lerp: {
    cases: (size) =>
      shapes(size).chain((shape) =>
        fc.record({ ins: fc.tuple(floats(shape), floats(shape)), attrs: fc.record({ weight: number }) }),
      ),
    define: ([a, b], { weight }) => [
      {
        shape: a.shape,
        values: a.values.map((x, i) =>
          off(
            (1 - weight) * x + weight * b.values[i],
            Math.abs(x) + 3 * Math.abs(weight) * (Math.abs(x) + Math.abs(b.values[i])),
          ),
        ),
      },
    ],
    gradient: inPlace('lerp'),
    refusals: [
      { ins: [f32([2], [1, 2]), f32([3], [1, 2, 3])], attrs: { weight: 0.5 }, message: 'lerp: b must be [2], got [3]' },
    ],
  },
};
