/** @file In batch-invariant mode a row's bits do not depend on what is computed beside it, in products and in attention. */
import { integers, type RawArray, runOn } from '@blt-ts/autograd/testing';
import { type Backend, counterUniform, createWasmBackend } from '@blt-ts/tensor';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { firstDifference } from '../../support/bits.ts';
import { property } from '../../support/property.ts';

const backends = [
  { name: '128-bit vectors', backend: createWasmBackend({ batchInvariant: true, wide: false }) },
  { name: '256-bit vectors', backend: createWasmBackend({ batchInvariant: true, wide: true }) },
  {
    name: 'deterministic, 3 threads',
    backend: createWasmBackend({ batchInvariant: true, deterministic: true, threads: 3, leastShared: 0 }),
  },
];

const size = (max: number) => fc.integer({ min: 1, max });
const seeds = fc.nat(1e6);

const floats = (seed: number, ...shape: number[]): RawArray => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => 4 * counterUniform(seed, i) - 2),
});

/** Rows from .. to-1 of a matrix. */
const rowsOf = ({ data, shape: [, width] }: RawArray, from: number, to: number): RawArray => ({
  shape: [to - from, width],
  data: data.slice(from * width, to * width),
});

interface Text {
  readonly length: number;
  /** Rows of nobody's before the text, as in the caches of decoding. */
  readonly gap: number;
}

/** Texts whose rows see the rows before them in the text, at most `window` of them. */
const attentions = fc.record({
  texts: fc.array(fc.record({ length: fc.oneof(size(5), size(150)), gap: fc.nat(9) }), { minLength: 1, maxLength: 6 }),
  window: fc.constantFrom(1, 7, 64, 1000),
  heads: fc.constantFrom([1, 1, 8], [2, 1, 32], [2, 2, 6], [4, 2, 40]),
  first: fc.nat(149),
  count: size(40),
  seed: seeds,
});

/** The output of attention. */
function attend(
  backend: Backend,
  [q, k, v]: readonly RawArray[],
  lo: readonly number[],
  hi: readonly number[],
  heads: readonly number[],
) {
  const attrs = { heads: heads[0], kvHeads: heads[1], scale: 0.7, pairs: 1 };
  const [out] = runOn(backend, 'intervalAttention', [q, k, v, integers(lo), integers(hi)], attrs);
  return out as Float32Array;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(backends)('$name', ({ backend }) => {
  property(
    'some rows of a product are those of the whole product',
    fc.record({
      // Up to 64 rows become the lanes of the product; more are packed.
      M: fc.oneof(size(20), size(90)),
      N: size(70),
      K: fc.oneof(size(40), size(900)),
      first: fc.nat(89),
      count: fc.oneof(size(9), size(70)),
      seed: seeds,
      transposeB: fc.boolean(), // biome-ignore format: sizes
    }),
    40,
    ({ M, N, K, first, count, seed, transposeB }) => {
      const from = first % M;
      const to = Math.min(M, from + count);
      const a = floats(seed, M, K);
      const b = transposeB ? floats(seed + 1, N, K) : floats(seed + 1, K, N);
      const attrs = { transposeA: false, transposeB };
      const [all] = runOn(backend, 'matmul', [a, b], attrs);
      const [some] = runOn(backend, 'matmul', [rowsOf(a, from, to), b], attrs);
      expect(firstDifference(some, all.slice(from * N, to * N))).toBeNull();
    },
  );

  property(
    'some rows of attention are those of a batch of texts',
    attentions,
    40,
    ({ texts, window, heads, first, count, seed }) => {
      const [H, kvHeads, D] = heads;
      const n = texts.reduce((sum, { length }) => sum + length, 0);
      const m = texts.reduce((sum, { length, gap }) => sum + length + gap, 0);
      const [q, k, v] = [floats(seed, n, H * D), floats(seed + 1, m, kvHeads * D), floats(seed + 2, m, kvHeads * D)];
      const [lo, hi]: [number[], number[]] = [[], []];
      let key = 0;
      for (const { length, gap } of texts) {
        key += gap;
        for (const i of range(length)) {
          lo.push(Math.max(key, key + i - window + 1));
          hi.push(key + i + 1);
        }
        key += length;
      }
      const all = attend(backend, [q, k, v], lo, hi, heads);
      // Some rows of one text, whose keys now lie at the beginning.
      const from = first % n;
      const to = Math.min(from + count, textEnd(texts, from));
      const begin = lo[from];
      const keys = (x: RawArray) => rowsOf(x, begin, hi[to - 1]);
      const shifted = (bounds: number[]) => bounds.slice(from, to).map((b) => b - begin);
      const some = attend(backend, [rowsOf(q, from, to), keys(k), keys(v)], shifted(lo), shifted(hi), heads);
      expect(firstDifference(some, all.slice(from * H * D, to * H * D))).toBeNull();
    },
  );
});

/** The end of the text that a row belongs to. */
function textEnd(texts: readonly Text[], row: number): number {
  let end = 0;
  for (const { length } of texts) if ((end += length) > row) break;
  return end;
}
