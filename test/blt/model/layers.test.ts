import { type IntervalBounds, rmsNorm, rope, segmentMax } from '@blt-ts/autograd';
import { crossAttention, entropyOfLogits, feedForward, feedForwardWidth, ropeTable, selfAttention } from '@blt-ts/blt';
import { type Tensor, tensor } from '@blt-ts/tensor';
import { describe, expect, test } from 'vitest';
import { backends } from '../../support/backends.ts';
import { fixture } from '../../support/fixture.ts';
import { distance } from '../../support/golden-model.ts';

type Matrix = number[][];

interface AttentionWeights {
  wq: Matrix;
  wk: Matrix;
  wv: Matrix;
  wo: Matrix;
}
interface Layers {
  rmsnorm: { x: number[][][]; weight: number[]; eps: number; y: number[][][] }[];
  rmsnorm_zero: number[][][];
  swiglu: { w1_gate: Matrix; w2_down: Matrix; w3_up: Matrix; x: number[][][]; y: number[][][] };
  self_attention: (AttentionWeights & {
    heads: number;
    kv_heads: number;
    head_dim: number;
    theta: number;
    mask_name: string;
    mask: Matrix;
    x: number[][][];
    y: number[][][];
  })[];
  cross_attention: AttentionWeights & {
    eps: number;
    heads: number;
    head_dim: number;
    q_norm: number[];
    kv_norm: number[];
    mask: Matrix;
    x: number[][][];
    kv: number[][][];
    y_fb: number[][][];
  };
  ffn_sizes: { dim: number; mult: number | null; multiple_of: number; hidden: number }[];
}
interface RopeCase {
  head_dim: number;
  theta: number;
  positions: number;
  cos: Matrix;
  sin: Matrix;
  q: number[][][];
  k: number[][][];
  q_rot: number[][][];
  k_rot: number[][][];
}
interface Pooling {
  pooling: { h: number[][][]; patch_ids: number[][]; num_patches: number; out: { amax: number[][][] } };
}

const layers = fixture<Layers>('layers.json');
const rotary = fixture<{ cases: RopeCase[] }>('rope.json').cases;
const close = (a: Tensor, b: number[], tolerance = 1e-6) => expect(distance(a.readSync(), b)).toBeLessThan(tolerance);

describe.each(backends)('$name', ({ backend }) => {
  const matrix = (rows: Matrix): Tensor => tensor(rows, undefined, { backend });
  const weight = (rows: Matrix | number[]) => ({ weight: tensor(rows, undefined, { backend }) });
  const projections = (w: AttentionWeights) => ({
    q_proj: weight(w.wq),
    k_proj: weight(w.wk),
    v_proj: weight(w.wv),
    o_proj: weight(w.wo),
  });
  const integers = (values: ArrayLike<number>): Tensor => tensor(Int32Array.from(values), undefined, { backend });

  /** The interval of ones in each row of a mask; an empty row continues where the previous one ended. */
  function bounds(mask: Matrix): IntervalBounds {
    let end = 0;
    const lo: number[] = [];
    const hi: number[] = [];
    for (const row of mask) {
      const first = row.indexOf(1);
      lo.push(first < 0 ? end : first);
      end = first < 0 ? end : row.lastIndexOf(1) + 1;
      hi.push(end);
      expect(row.slice(lo.at(-1), end)).not.toContain(0);
    }
    return { lo: integers(lo), hi: integers(hi), pairs: mask.flat().reduce((n, x) => n + x, 0) };
  }

  test.each(rotary)('rotary positions: head size $head_dim, theta $theta', (c) => {
    const table = ropeTable(backend, c.theta, c.head_dim, c.positions);
    const values = c.positions * (c.head_dim / 2);
    expect(distance(table.cos.readSync().subarray(0, values), c.cos.flat())).toBeLessThan(2e-7);
    expect(distance(table.sin.readSync().subarray(0, values), c.sin.flat())).toBeLessThan(2e-7);
    const positions = integers(Array.from({ length: c.positions }, (_, i) => i));
    for (const [x, rotated] of [
      [c.q, c.q_rot],
      [c.k, c.k_rot],
    ]) {
      const rows = matrix(x.map((heads) => heads.flat()));
      const y = rope(rows, table, positions, c.head_dim);
      close(y, rotated.flat(2));
      close(rope(y, table, positions, c.head_dim, true), x.flat(2));
    }
  });

  test('a rotary table grows without changing what it held', () => {
    const small = ropeTable(backend, 777, 6, 5);
    const values = small.cos.readSync();
    const large = ropeTable(backend, 777, 6, small.cos.shape[0] + 1);
    expect(large.cos.shape[0]).toBe(2 * small.cos.shape[0]);
    expect(large.cos.readSync().subarray(0, values.length)).toEqual(values);
    expect(ropeTable(backend, 777, 6, 3)).toBe(large);
  });

  test.each(layers.rmsnorm.map((c, i) => [i, c] as const))('RMSNorm, case %i', (_, c) => {
    close(rmsNorm(tensor(c.x, undefined, { backend }), weight(c.weight).weight, c.eps), c.y.flat(2));
  });

  test('the RMSNorm of a zero row is zero', () => {
    const C = layers.rmsnorm_zero[0][0].length;
    const y = rmsNorm(matrix([new Array(C).fill(0)]), weight(new Array(C).fill(1)).weight);
    expect([...y.readSync()]).toEqual(layers.rmsnorm_zero[0][0]);
  });

  test('SwiGLU feed-forward layer', () => {
    const { w1_gate, w2_down, w3_up, x, y } = layers.swiglu;
    const params = { gate_proj: weight(w1_gate), up_proj: weight(w3_up), down_proj: weight(w2_down) };
    close(feedForward(params, matrix(x.flat())), y.flat(2));
  });

  test.each(layers.self_attention)('self-attention: $heads heads, $kv_heads key/value heads, $mask_name', (c) => {
    const n = c.x[0].length;
    const at = {
      bounds: bounds(c.mask),
      positions: integers(Array.from({ length: n }, (_, i) => i)),
      rope: ropeTable(backend, c.theta, c.head_dim, n),
    };
    const config = {
      hiddenSize: c.heads * c.head_dim,
      numHiddenLayers: 1,
      numAttentionHeads: c.heads,
      numKeyValueHeads: c.kv_heads,
      intermediateSize: 1,
      maxPositionEmbeddings: n,
      rmsNormEps: 1e-5,
      ropeTheta: c.theta,
    };
    close(selfAttention(projections(c), matrix(c.x[0]), at, config), c.y.flat(2));
  });

  test('cross-attention adds its residual twice, and a query that sees nothing gets nothing else', () => {
    const c = layers.cross_attention;
    const params = { ...projections(c), q_norm: weight(c.q_norm), k_norm: weight(c.kv_norm) };
    const config = {
      hiddenSize: c.heads * c.head_dim,
      numHiddenLayers: 1,
      numAttentionHeads: c.heads,
      numKeyValueHeads: c.heads,
      intermediateSize: 1,
      maxPositionEmbeddings: 8,
      rmsNormEps: c.eps,
      ropeTheta: 500_000,
    };
    const y = crossAttention(params, matrix(c.x[0]), matrix(c.kv[0]), bounds(c.mask), config);
    // The reference's module returns x + Wo attention; its caller adds x again.
    close(y, c.y_fb[0].flatMap((row, i) => row.map((v, j) => v + c.x[0][i][j]))); // biome-ignore format: one sentence
    expect(c.mask[3]).not.toContain(1);
    expect([...y.readSync()].slice(-c.x[0][3].length)).toEqual(c.x[0][3].map((x) => Math.fround(2 * Math.fround(x))));
  });

  test('pooling takes the largest value of each patch and channel', () => {
    const { h, patch_ids, num_patches, out } = fixture<Pooling>('patch_ids_masks.json').pooling;
    h.forEach((rows, b) => {
      const starts = Array.from({ length: num_patches + 1 }, (_, p) => patch_ids[b].filter((id) => id < p).length);
      expect([...segmentMax(matrix(rows), integers(starts)).readSync()]).toEqual(out.amax[b].flat().map(Math.fround));
    });
  });

  test('entropies of logits, in nats', () => {
    const golden = fixture<{ logits: Matrix; entropy_nats: number[]; uniform_260: number }>('entropy_from_logits.json');
    close(entropyOfLogits(matrix(golden.logits)), golden.entropy_nats, 5e-6);
    const V = golden.logits[0].length;
    close(entropyOfLogits(matrix([new Array(V).fill(3)])), [Math.log(V)], 5e-6);
    expect(Math.log(V)).toBeCloseTo(golden.uniform_260, 6);
    // A distribution with all its weight in one place: exactly no uncertainty, and no NaN from 0 * ln 0.
    close(entropyOfLogits(matrix([[200, 0, -200]])), [0], 1e-30);
  });
});

test.each(layers.ffn_sizes)('feed-forward width: $dim x $mult, multiple of $multiple_of', (c) => {
  expect(feedForwardWidth(c.dim, c.multiple_of, c.mult ?? 1)).toBe(c.hidden);
});
