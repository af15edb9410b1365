/** @file examples/kernels/: each rung of the ladder computes what the definition does, and says what it adds. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createReferenceBackend, run, tensor } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attentionRungs, matmulRungs, softmaxRungs } from '../../examples/kernels/rungs.ts';
import { property } from '../support/property.ts';

const folder = join(import.meta.dirname, '../../examples/kernels');
const backend = createReferenceBackend();
const close = (got: Float32Array, wanted: ArrayLike<number>, most: number) => {
  expect(got.length).toBe(wanted.length);
  const far = [...got].map((x, i) => [i, x, wanted[i]]).filter(([, x, y]) => !(Math.abs(x - y) <= most));
  expect(far).toEqual([]);
};
/** n multiples of 1/8 from -2 to 2: products and sums of them are exact in 32 bits. */
const eighths = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => (((i * 40503 + seed * 7919) % 33) - 16) / 8);
const upTo = (max: number) => fc.integer({ min: 1, max });
const seed = fc.integer({ min: 0, max: 1000 });

test('each rung is a file, in order, that says which rung it is', () => {
  for (const rungs of [matmulRungs, softmaxRungs, attentionRungs]) {
    rungs.forEach(({ file }, i) => {
      expect(file).toMatch(new RegExp(`^\\w+/${i + 1}-`));
      expect(existsSync(join(folder, file))).toBe(true);
      expect(readFileSync(join(folder, file), 'utf8')).toMatch(
        new RegExp(`^/\\*\\*\\s[\\s*]*@file .*, rung ${i + 1}: `),
      );
    });
  }
});

describe.each(matmulRungs)('$file', ({ run: product }) => {
  property(
    'is the product, to the bit where that is exact',
    fc.tuple(upTo(70), upTo(9), upTo(70), seed),
    30,
    ([M, N, K, s]) => {
      const [a, b, c] = [eighths(M * K, s), eighths(K * N, s + 1), new Float32Array(M * N).fill(Number.NaN)];
      product(a, b, c, M, N, K);
      const attrs = { transposeA: false, transposeB: false };
      const [wanted] = run('matmul', [tensor(a, [M, K], { backend }), tensor(b, [K, N], { backend })], attrs);
      close(c, wanted.readSync(), 0);
    },
  );
  test('does so over more than one block', () => {
    const [M, N, K] = [3, 300, 130];
    const [a, b, c] = [eighths(M * K, 1), eighths(K * N, 2), new Float32Array(M * N).fill(Number.NaN)];
    product(a, b, c, M, N, K);
    const attrs = { transposeA: false, transposeB: false };
    const [wanted] = run('matmul', [tensor(a, [M, K], { backend }), tensor(b, [K, N], { backend })], attrs);
    close(c, wanted.readSync(), 0);
  });
});

describe.each(softmaxRungs)('$file', ({ file, run: softmax }) => {
  property('is the softmax', fc.tuple(upTo(5), upTo(40), seed), 40, ([rows, C, s]) => {
    const x = eighths(rows * C, s).map((v) => 4 * v);
    const y = new Float32Array(rows * C).fill(Number.NaN);
    softmax(x, y, C);
    close(y, run('softmax', [tensor(x, [rows, C], { backend })], {})[0].readSync(), 1e-6);
  });
  test(file.includes('/1-') ? 'overflows where e^x does' : 'does not overflow', () => {
    const y = new Float32Array(2);
    softmax(Float32Array.of(1000, 999), y, 2);
    if (file.includes('/1-')) expect(y[0]).toBeNaN();
    else close(y, [1 / (1 + Math.exp(-1)), 1 / (1 + Math.E)], 1e-6);
  });
});

/** Intervals that never step back, empty ones too: [n] pairs of lo and hi up to m keys. */
const intervals = fc
  .tuple(upTo(12), upTo(12), fc.array(fc.nat(), { minLength: 24, maxLength: 24 }))
  .map(([n, m, draws]) => {
    const sorted = (from: number) => Int32Array.from(draws.slice(from, from + n), (x) => x % (m + 1)).sort();
    const [one, two] = [sorted(0), sorted(12)];
    return { n, m, lo: one.map((x, i) => Math.min(x, two[i])), hi: one.map((x, i) => Math.max(x, two[i])) };
  });
describe.each(attentionRungs)('$file', ({ run: attention }) => {
  property('is interval attention', fc.tuple(intervals, upTo(6), seed), 40, ([{ n, m, lo, hi }, D, s]) => {
    const [q, k, v] = [eighths(n * D, s), eighths(m * D, s + 1), eighths(m * D, s + 2)];
    const out = new Float32Array(n * D).fill(Number.NaN);
    attention({ q, k, v, lo, hi, D }, out);
    const rows = (values: Float32Array) => tensor(values, [values.length / D, D], { backend });
    const bounds = [lo, hi].map((values) => tensor(values, undefined, { backend }));
    const attrs = { heads: 1, kvHeads: 1, scale: 1 / Math.sqrt(D), pairs: 0 };
    close(out, run('intervalAttention', [rows(q), rows(k), rows(v), ...bounds], attrs)[0].readSync(), 1e-5);
  });
});
