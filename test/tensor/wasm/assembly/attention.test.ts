/** @file Interval attention on WebAssembly at the edges of its blocks. */

import { integers, noise, type RawArray, runOn } from '@blt-ts/autograd/testing';
import { createReferenceBackend, createWasmBackend, type KernelAttrs, type KernelName } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';

const exact = createReferenceBackend({ precision: 'f64' });
const [narrow, wide] = [false, true].map((pairs) => createWasmBackend({ wide: pairs }));

/** The outputs, which are the same bits with single vectors and with pairs. */
function onWasm<K extends KernelName>(kernel: K, ins: readonly RawArray[], attrs: KernelAttrs[K]) {
  const outs = runOn(narrow, kernel, ins, attrs);
  expect(runOn(wide, kernel, ins, attrs)).toEqual(outs);
  return outs;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

interface Layout {
  readonly name: string;
  readonly keys: number;
  readonly lo: readonly number[];
  readonly hi: readonly number[];
}

const selfAttention = (documents: readonly number[], window: number): Layout => {
  const starts = documents.flatMap((size, d) => {
    const start = documents.slice(0, d).reduce((a, b) => a + b, 0);
    return new Array<number>(size).fill(start);
  });
  return {
    name: `self-attention, documents ${documents}, window ${window}`,
    keys: starts.length,
    lo: starts.map((start, i) => Math.max(start, i - window + 1)),
    hi: starts.map((_, i) => i + 1),
  };
};

/** k rows for each patch see the patch's bytes; some patches are empty. */
function encoderCross(lengths: readonly number[], k: number): Layout {
  const starts = [3];
  for (const n of lengths) starts.push(starts.at(-1)! + n);
  const rows = lengths.flatMap((_, p) => new Array<number>(k).fill(p));
  return {
    name: `encoder cross-attention, k ${k}`,
    keys: starts.at(-1)! + 2,
    lo: rows.map((p) => starts[p]),
    hi: rows.map((p) => starts[p + 1]),
  };
}

/** Each byte sees the k rows of the patch before its own; bytes of the first patch see nothing. */
function decoderCross(lengths: readonly number[], k: number): Layout {
  const patch = lengths.flatMap((n, p) => new Array<number>(n).fill(p - 1));
  return {
    name: `decoder cross-attention, k ${k}`,
    keys: lengths.length * k,
    lo: patch.map((d) => Math.max(0, d * k)),
    hi: patch.map((d) => Math.max(0, d * k + k)),
  };
}

/** The newest rows of texts whose keys lie `capacity` rows apart, as in decoding; `rows` of each text. */
function textsApart(seen: readonly number[], capacity: number, rows: readonly number[]): Layout {
  const all = seen.flatMap((n, text) =>
    range(rows[text]).map((i) => ({ lo: text * capacity, hi: text * capacity + n - rows[text] + 1 + i })),
  );
  return {
    name: `texts ${capacity} keys apart, ${rows} rows of each`,
    keys: seen.length * capacity,
    lo: all.map(({ lo }) => lo),
    hi: all.map(({ hi }) => hi),
  };
}

const lengths = range(60).map((p) => (p % 9 === 4 ? 0 : 1 + ((p * 37) % 23)));
const layouts: Layout[] = [
  selfAttention([1], 10),
  selfAttention([7, 1, 9], 4),
  selfAttention([200], 1),
  selfAttention([150], 1000),
  selfAttention([300], 70),
  selfAttention([65, 63, 64, 130, 40], 100),
  encoderCross(lengths, 2),
  encoderCross(lengths, 1),
  decoderCross(lengths, 2),
  decoderCross([90, 3, 100, 70], 5),
  { name: 'one new row with a cache', keys: 333, lo: [40], hi: [333] },
  { name: 'one new row with a long cache', keys: 9000, lo: [100], hi: [8999] },
  { name: 'one row with nothing to see', keys: 9, lo: [4], hi: [4] },
  { name: 'a few new rows with a cache', keys: 100, lo: [0, 0, 50, 60, 61], hi: [96, 97, 98, 98, 100] },
  textsApart([40, 3, 64, 1, 70], 128, [1, 1, 1, 1, 1]),
  textsApart([40, 90, 64, 1, 70, 100], 128, [1, 30, 1, 1, 70, 1]),
  { name: 'nothing to see', keys: 5, lo: range(70).map(() => 2), hi: range(70).map(() => 2) },
];
/** Blocks that see hundreds of keys, for which the gradient keeps keys side by side. */
const farLayouts: Layout[] = [
  selfAttention([850], 250),
  selfAttention([600, 230, 300], 210),
  // More keys than there is room for, from some row on.
  selfAttention([640], 1000),
  {
    name: 'far windows with keys between them that nobody sees',
    keys: 2000,
    lo: range(400).map((i) => Math.floor(i / 64) * 280 + (i % 64)),
    hi: range(400).map((i) => Math.floor(i / 64) * 280 + 195 + (i % 64)),
  },
  {
    name: 'near, far and near windows again',
    keys: 700,
    lo: range(320).map((i) => (i < 64 ? i : i < 192 ? 64 : i < 256 ? 300 : 560)),
    hi: range(320).map((i) => (i < 64 ? i + 5 : i < 192 ? 400 + Math.floor((i - 64) / 2) : i < 256 ? 560 : 700)),
  },
];
const heads = [
  { heads: 1, kvHeads: 1, D: 32 },
  { heads: 4, kvHeads: 2, D: 6 },
  { heads: 3, kvHeads: 1, D: 13 },
];
const farHeads = [
  { heads: 2, kvHeads: 2, D: 32 },
  { heads: 2, kvHeads: 1, D: 128 },
  { heads: 2, kvHeads: 1, D: 20 },
];
const cases = [
  ...layouts.map((layout) => ({ ...layout, all: heads })),
  ...farLayouts.map((layout) => ({ ...layout, all: farHeads })),
];

/** Largest difference, as a share of the largest value; of 1/10 at least, for sums of ordinary terms that cancel. NaN is infinitely far. */
function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let size = 0.1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) size = Math.max(size, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i]);
    if (!(d <= worst)) worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
  }
  return worst / size;
}

const single = (x: ArrayLike<number>, shape: readonly number[]): RawArray => ({ data: Float32Array.from(x), shape });

describe.each(cases)('$name', ({ keys, lo, hi, all }) => {
  test.each(all)('forward and backward are the definition: heads $heads, kv heads $kvHeads, head dim $D', (h) => {
    const n = lo.length;
    const pairs = lo.reduce((sum, l, i) => sum + Math.max(0, hi[i] - l), 0);
    const attrs = { heads: h.heads, kvHeads: h.kvHeads, scale: 3 / Math.sqrt(h.D), pairs };
    const q = noise(n, h.heads * h.D);
    const ins = [q, noise(keys, h.kvHeads * h.D), noise(keys, h.kvHeads * h.D), integers(lo), integers(hi)];
    const [out, lse] = runOn(exact, 'intervalAttention', ins, attrs);
    const [y, z] = onWasm('intervalAttention', ins, attrs);
    expect(distance(y, out)).toBeLessThan(2e-6);
    expect(distance(z, lse)).toBeLessThan(2e-6);
    for (const i of range(n).filter((row) => lo[row] >= hi[row])) {
      expect(y.slice(i * h.heads * h.D, (i + 1) * h.heads * h.D).every((x) => x === 0)).toBe(true);
      expect(z.slice(i * h.heads, (i + 1) * h.heads).every((x) => x === 0)).toBe(true);
    }

    const more = [...ins, single(out, q.shape), single(lse, [n, h.heads]), noise(n, h.heads * h.D)];
    const expected = runOn(exact, 'intervalAttentionBackward', more, attrs);
    const gradients = onWasm('intervalAttentionBackward', more, attrs);
    gradients.forEach((gradient, i) => {
      expect(distance(gradient, expected[i])).toBeLessThan(1e-5);
    });
  });
});

test('scores far apart, far above and far below 0 neither overflow nor vanish', () => {
  const n = 130;
  const { keys, lo, hi } = selfAttention([n], 1000);
  const ins = [noise(n, 8), noise(keys, 8), noise(keys, 8), integers(lo), integers(hi)];
  for (const scale of [1e3, -1e3, 1e-8]) {
    const attrs = { heads: 1, kvHeads: 1, scale, pairs: (n * (n + 1)) / 2 };
    const [expected, expectedLse] = runOn(exact, 'intervalAttention', ins, attrs);
    const [out, lse] = onWasm('intervalAttention', ins, attrs);
    // A score of size s carries s roundoffs into its exponential.
    expect(distance(out, expected)).toBeLessThan(1e-6 + 2 ** -21 * Math.abs(scale));
    expect(distance(lse, expectedLse)).toBeLessThan(1e-6);
  }
});

test('what comes later changes nothing before it, bit for bit', () => {
  const n = 400;
  const attrs = { heads: 2, kvHeads: 1, scale: 0.3, pairs: 0 };
  const [q, k, v] = [noise(n, 16), noise(n, 8), noise(n, 8)];
  const { lo, hi } = selfAttention([n], 150);
  for (const t of [1, 9, 64, 70, 129, 333]) {
    const changed = [q, k, v].map(({ data, shape }) => {
      const copy = Float32Array.from(data);
      for (let i = t * shape[1]; i < copy.length; i++) copy[i] = 5 - copy[i];
      return { data: copy, shape };
    });
    // Other windows from t on, too.
    const lo2 = lo.map((l, i) => (i < t ? l : Math.max(lo[t - 1], i - 3)));
    const before = onWasm('intervalAttention', [q, k, v, integers(lo), integers(hi)], attrs);
    const after = onWasm('intervalAttention', [...changed, integers(lo2), integers(hi)], attrs);
    expect(after[0].slice(0, t * 16)).toEqual(before[0].slice(0, t * 16));
    expect(after[1].slice(0, t * 2)).toEqual(before[1].slice(0, t * 2));
  }
});

test('a row of one text has the same bits alone and beside other texts far away', () => {
  const attrs = { heads: 2, kvHeads: 1, scale: 0.3, pairs: 0 };
  const { keys, lo, hi } = textsApart([40, 90, 64, 1, 70, 96], 128, [1, 1, 1, 1, 1, 1]);
  const [q, k, v] = [noise(lo.length, 16), noise(keys, 8), noise(keys, 8)];
  const [out, lse] = onWasm('intervalAttention', [q, k, v, integers(lo), integers(hi)], attrs);
  for (const i of range(lo.length)) {
    const row = { data: Float32Array.from(q.data).slice(16 * i, 16 * i + 16), shape: [1, 16] };
    const [y, z] = onWasm('intervalAttention', [row, k, v, integers([lo[i]]), integers([hi[i]])], attrs);
    expect(out.slice(16 * i, 16 * i + 16)).toEqual(y);
    expect(lse.slice(2 * i, 2 * i + 2)).toEqual(z);
  }
});

test('heads wider than the working memory run the definition', () => {
  const ins = [noise(3, 1100), noise(3, 1100), noise(3, 1100), integers([0, 0, 0]), integers([1, 2, 3])];
  const attrs = { heads: 1, kvHeads: 1, scale: 0.03, pairs: 6 };
  const [expected] = runOn(exact, 'intervalAttention', ins, attrs);
  expect(distance(onWasm('intervalAttention', ins, attrs)[0], expected)).toBeLessThan(1e-6);
});
