/** @file Interval attention: bounds and scale. */
import * as ag from '@blt-ts/autograd';
import { range } from '@blt-ts/autograd/testing';
import { scope, tensor } from '@blt-ts/tensor';
import { expect, test } from 'vitest';
import { reference64 } from '../../support/backends.ts';

const { backend } = reference64;

const numbers = (n: number, shape: number[]) =>
  tensor(
    range(n).map((i) => Math.sin(7 * i)),
    shape,
    { backend },
  );

test.each([
  [[0, 1], [1, 3], 'hi 3 at position 1 is outside 0..2'],
  [[-1, 1], [1, 2], 'lo -1 at position 0 is outside 0..2'],
  [[1, 0], [2, 2], 'lo 0 at position 1 comes after 1; they may never decrease'],
  [[0, 0], [2, 1], 'hi 1 at position 1 comes after 2; they may never decrease'],
])('intervalAttention refuses lo %j and hi %j', (lo, hi, message) => {
  scope(() => {
    const x = numbers(16, [2, 8]);
    const ids = (n: number[]) => tensor(Int32Array.from(n), [n.length], { backend });
    const attend = () => ag.intervalAttention(x, x, x, { lo: ids(lo), hi: ids(hi), pairs: 2 }, 2);
    expect(attend).toThrow(new RangeError(`intervalAttention: ${message}`));
  });
});

test('intervalAttention divides by the root of the head size', () => {
  scope(() => {
    const [q, k, v] = [numbers(8, [1, 8]), numbers(16, [2, 8]), numbers(16, [2, 8])];
    const ids = (...n: number[]) => tensor(Int32Array.from(n), [n.length], { backend });
    const y = ag.intervalAttention(q, k, v, { lo: ids(0), hi: ids(2), pairs: 2 }, 2).readSync();
    const [qs, ks, vs] = [q, k, v].map((t) => [...t.readSync()]);
    for (const h of [0, 1]) {
      const scores = [0, 1].map((j) => range(4).reduce((s, c) => s + qs[4 * h + c] * ks[8 * j + 4 * h + c], 0) / 2);
      const weights = scores.map((s) => Math.exp(s) / scores.reduce((sum, t) => sum + Math.exp(t), 0));
      for (const c of range(4)) {
        const want = weights[0] * vs[4 * h + c] + weights[1] * vs[8 + 4 * h + c];
        expect(y[4 * h + c]).toBeCloseTo(want, 12);
      }
    }
  });
});
