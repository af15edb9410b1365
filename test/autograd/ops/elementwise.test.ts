/** @file Elementwise operations: numbers as scalars, and values at NaN, infinities and kinks. */
import * as ag from '@blt-ts/autograd';
import { distinct, floats, holds, nonzero, shapes, smallSize } from '@blt-ts/autograd/testing';
import { scope, type Tensor, tensor, withLedger } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends, reference64 } from '../../support/backends.ts';
import { property } from '../../support/property.ts';

const { backend } = reference64;

const one = shapes(smallSize).chain((shape) => floats(shape));

describe('a number stands for a scalar on either side', () => {
  const sides: Record<string, [(a: ag.Operand, b: ag.Operand) => Tensor, (a: number, b: number) => number]> = {
    add: [ag.add, (a, b) => a + b],
    sub: [ag.sub, (a, b) => a - b],
    mul: [ag.mul, (a, b) => a * b],
    div: [ag.div, (a, b) => a / b],
    maximum: [ag.maximum, Math.max],
    minimum: [ag.minimum, Math.min],
    greater: [ag.greater, (a, b) => Number(a > b)],
    equal: [ag.equal, (a, b) => Number(a === b)],
    notEqual: [ag.notEqual, (a, b) => Number(a !== b)],
  };
  // No float: the number must not pass through 32 bits on the way.
  const c = 0.1;
  for (const [name, [f, plainly]] of Object.entries(sides)) {
    property(
      name,
      shapes(smallSize).chain((shape) => floats(shape, nonzero)),
      10,
      (raw) => {
        const [x] = distinct({ ins: [raw] }).ins;
        holds(
          (t) => f(t, c),
          [x],
          x.shape,
          x.values.map((v) => plainly(v, c)),
        );
        holds(
          (t) => f(c, t),
          [x],
          x.shape,
          x.values.map((v) => plainly(c, v)),
        );
      },
    );
  }
  test('as an attribute of one kernel, not as a tensor, where affine can say it', () => {
    scope(() => {
      const x = tensor([1, 2], [2], { backend });
      for (const f of [ag.add, ag.sub, ag.mul]) {
        const { ledger } = withLedger(() => [f(x, 3), f(3, x)]);
        expect([...ledger]).toEqual([['affine', { calls: 2, flops: 4 }]]);
      }
    });
  });
  test('but not on both', () => {
    expect(() => ag.div(1, 2)).toThrow('needs at least one tensor, got two numbers');
  });
  property('where', one, 10, (x) => {
    const condition = x.values.map((_, i) => i % 2);
    const pick = (xs: Tensor) => tensor(condition, xs.shape, { backend: xs.backend });
    holds(
      (t) => ag.where(pick(t), t, 7),
      [x],
      x.shape,
      x.values.map((v, i) => (i % 2 ? v : 7)),
    );
    holds(
      (t) => ag.where(pick(t), 7, t),
      [x],
      x.shape,
      x.values.map((v, i) => (i % 2 ? 7 : v)),
    );
  });
});

describe('functions of one tensor', () => {
  const functions: Record<string, [(x: Tensor) => Tensor, (x: number) => number]> = {
    square: [ag.square, (x) => x * x],
    silu: [ag.silu, (x) => x / (1 + Math.exp(-x))],
    relu: [ag.relu, (x) => Math.max(x, 0)],
    'affine without shift': [(x) => ag.affine(x, 3), (x) => 3 * x],
  };
  for (const [name, [f, plainly]] of Object.entries(functions)) {
    property(
      name,
      one.map((x) => distinct({ ins: [x] }).ins[0]),
      15,
      (x) => holds(f, [x], x.shape, x.values.map(plainly)),
    );
  }
});

const { NaN: nan, NEGATIVE_INFINITY: minus } = Number;

describe.each(backends)('on $name', ({ backend }) => {
  const vector = (...values: number[]) => tensor(values, [values.length], { backend });
  const gradientOf = (f: (x: Tensor) => Tensor, ...at: number[]) =>
    scope(() => [
      ...ag
        .grad((x: Tensor) => ag.sum(f(x)))(vector(...at))
        .readSync(),
    ]);
  const valuesOf = (f: (x: Tensor) => Tensor, ...at: number[]) => scope(() => [...f(vector(...at)).readSync()]);

  test('the gradient of relu is 0 at 0 and NaN at NaN', () => {
    expect(valuesOf(ag.relu, -2, -0, 0, 3, nan, minus, -minus)).toEqual([0, 0, 0, 3, nan, 0, -minus]);
    expect(gradientOf(ag.relu, -2, 0, -0, 3, nan)).toEqual([0, 0, 0, 1, nan]);
  });

  test('the gradient of a maximum or minimum of NaN is NaN, of a segment with NaN too', () => {
    for (const f of [ag.maximum, ag.minimum]) {
      expect(gradientOf((x) => f(x, 1), nan)).toEqual([nan]);
      expect(gradientOf((x) => f(1, x), nan, 1)).toEqual([nan, 0.5]);
    }
    const starts = () => tensor(Int32Array.of(0, 2, 4), undefined, { backend });
    const segments = (x: Tensor) => ag.segmentMax(ag.reshape(x, [4, 1]), starts());
    expect(gradientOf(segments, 1, 2, nan, 1)).toEqual([0, 1, nan, nan]);
    expect(gradientOf((x) => ag.max(x), 1, nan)).toEqual([nan, nan]);
  });

  test('sigmoid and silu vanish far below 0', () => {
    expect(valuesOf(ag.sigmoid, minus, -3e38, -1000, 1000, -minus, nan)).toEqual([0, 0, 0, 1, 1, nan]);
    // Each length of the vector code's ends.
    for (let n = 1; n <= 17; n++) {
      const at = new Array<number>(n).fill(-3e38);
      expect(valuesOf(ag.silu, ...at)).toEqual(at.map(() => -0));
      expect(valuesOf((x) => ag.swiGlu(x, ag.affine(x, 0, 1)), ...at)).toEqual(at.map(() => -0));
      expect(gradientOf((x) => ag.swiGlu(x, ag.affine(x, 0, 1)), ...at).map(Math.abs)).toEqual(at.map(() => 0));
    }
    // Down to -88 nothing changes; below, the result would be subnormal.
    for (const x of [-80, -87, -88]) {
      const [y] = valuesOf(ag.sigmoid, x);
      expect(Math.abs(y - 1 / (1 + Math.exp(-x)))).toBeLessThan(1e-5 / (1 + Math.exp(-x)));
    }
    expect(valuesOf(ag.tanh, minus, -0, 0, -minus)).toEqual([-1, -0, 0, 1]);
  });
});
