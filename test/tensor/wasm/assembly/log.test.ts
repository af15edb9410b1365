/** @file The logarithm on WebAssembly at every exponent, and where it has no number to give. */

import { runOn } from '@blt-ts/autograd/testing';
import { createWasmBackend } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const logs = (values: readonly number[], deterministic: boolean): number[] => {
  const x = { data: Float32Array.from(values), shape: [values.length] };
  return [...runOn(createWasmBackend({ deterministic }), 'log', [x], {})[0]];
};

/** The distance to the next float above |y|: of a normal number y. */
const unit = (y: number): number => 2 ** (Math.floor(Math.log2(Math.abs(y))) - 23);

describe.each([false, true])('deterministic: %s', (deterministic) => {
  test('the error is below one unit in the last place at every exponent', () => {
    // 64 numbers of each exponent, the subnormal ones too; between 1/2 and 2, where the logarithm passes through 0, 8192.
    const xs: number[] = [];
    for (let e = -149; e < 128; e++) {
      const count = e === -1 || e === 0 ? 4096 : 64;
      for (let i = 0; i < count; i++) xs.push(Math.fround(2 ** e * (1 + (i + 0.37) / count)));
    }
    const ys = logs(xs, deterministic);
    const errors = xs.map((x, i) => Math.abs(ys[i] - Math.log(x)) / unit(Math.log(x)));
    expect(xs.length).toBeGreaterThan(25_000);
    expect(Math.max(...errors)).toBeLessThan(1);
  });

  test('it is exact at 1, and keeps the digits of the numbers next to it', () => {
    const next = [1 - 2 ** -24, 1 - 2 ** -20, 1 + 2 ** -23, 1 + 2 ** -20];
    const ys = logs([1, ...next], deterministic);
    expect(ys[0]).toBe(0);
    next.forEach((x, i) => {
      expect(Math.abs(ys[i + 1] / Math.log(x) - 1)).toBeLessThan(2 ** -23);
    });
  });

  test('ends: -Infinity at both zeros, NaN below, Infinity and NaN as they are, also beside ordinary numbers', () => {
    const ends = [0, -0, -1, -1e-40, -Infinity, Infinity, Number.NaN];
    const wanted = [-Infinity, -Infinity, Number.NaN, Number.NaN, Number.NaN, Infinity, Number.NaN];
    expect(logs(ends, deterministic)).toEqual(wanted);
    ends.forEach((x, i) => {
      expect(logs([1, 1, x, 1], deterministic)).toEqual([0, 0, wanted[i], 0]);
    });
  });
});
