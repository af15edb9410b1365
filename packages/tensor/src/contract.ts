/**
 * @file The kernel contract: every computation a backend must offer, stated once.
 *
 * A kernel is a pure function from tensors and attributes to new tensors (the few that update in place say so). Here stand
 * its formula, its shapes, its errors and its cost; `reference/` holds the definition as plain loops, `wasm/` the fast form.
 * Letters: n, m rows; C channels; V rows of a table; P patches; H heads; D head dim. All tensors are row-major and contiguous.
 *
 * To add a kernel: a line in `KernelAttrs`, an entry in `contract`, a loop in `reference/`; then a rule in autograd and a row
 * in the tests' op table. The compiler names every place that is still missing.
 */
import {
  broadcastShapes,
  checkShape,
  type DType,
  formatShape,
  normalizeAxes,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
} from './shape.ts';

export interface Spec {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Attributes are plain data: numbers and arrays of numbers, never tensors. */
export type None = Record<never, never>;

/** Every kernel, and the attributes it takes. Formulas are at the entries of `contract`. */
export interface KernelAttrs {
  // elementwise, one input
  neg: None;
  exp: None;
  log: None;
  sqrt: None;
  reciprocal: None;
  sin: None;
  cos: None;
  tanh: None;
  sigmoid: None;
  abs: None;
  sign: None;
  affine: { scale: number; shift: number };
  dropout: { rate: number; seed: number };
  // elementwise, broadcasting
  add: None;
  sub: None;
  mul: None;
  div: None;
  maximum: None;
  minimum: None;
  greater: None;
  equal: None;
  where: None;
  // reductions
  sum: { axes: readonly number[] };
  max: { axes: readonly number[] };
  sumSquares: None;
  // shape
  reshape: { shape: Shape };
  transpose: { perm: readonly number[] };
  broadcastTo: { shape: Shape };
  slice: { begin: readonly number[]; end: readonly number[] };
  pad: { before: readonly number[]; after: readonly number[] };
  concat: { axis: number };
  // linear algebra
  matmul: { transposeA: boolean; transposeB: boolean };
  // rows
  gatherRows: None;
  scatterAddRows: { rows: number };
  embeddingBag: None;
  segmentGatherSum: None;
  segmentMax: None;
  segmentMaxBackward: None;
  writeRows: None; // in place
  // neural network
  softmax: None;
  logSoftmax: None;
  crossEntropy: None;
  crossEntropyBackward: None;
  rmsNorm: { eps: number };
  rmsNormBackward: { eps: number };
  rope: { headDim: number; inverse: boolean };
  swiGlu: None;
  swiGluBackward: None;
  intervalAttention: AttentionAttrs;
  intervalAttentionBackward: AttentionAttrs;
  // optimiser, in place
  adamw: AdamWAttrs;
  adamwRows: AdamWAttrs;
  adamwCatchUp: None;
  lerp: { weight: number };
}

export interface AttentionAttrs {
  /** query heads H; q is [n, H*D] */
  heads: number;
  /** key/value heads; H/kvHeads query heads share one (grouped-query attention) */
  kvHeads: number;
  /** scores are scale * q.k, usually 1/sqrt(D) */
  scale: number;
  /** sum of (hi - lo) over the query rows: what the kernel must compute, for the FLOP ledger */
  pairs: number;
}

export interface AdamWAttrs {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 1 at the first update (bias correction) */
  step: number;
}

export type KernelName = keyof KernelAttrs;

export interface KernelEntry<Attrs> {
  /** Input dtypes, in order; `'...f32'` stands for one or more f32 inputs. */
  readonly inputs: readonly (DType | '...f32')[];
  /** Output shapes and dtypes from those of the inputs. @throws ShapeError */
  outputs(ins: readonly Spec[], attrs: Attrs): Spec[];
  /** Floating-point operations really executed (a multiply-add is 2). */
  flops(ins: readonly Spec[], outs: readonly Spec[], attrs: Attrs): number;
  /** Inputs overwritten in place, by index. */
  readonly mutates?: readonly number[];
  /** The output is input 0 under another shape: no data moves. */
  readonly view?: true;
}

const f32 = (shape: Shape): Spec => ({ dtype: 'f32', shape });

function expect(condition: boolean, message: () => string): void {
  if (!condition) throw new ShapeError(message());
}

function expectRank(op: string, name: string, spec: Spec, rank: number): void {
  expect(spec.shape.length === rank, () => `${op}: ${name} must have ${rank} axes, got ${formatShape(spec.shape)}`);
}

function expectShape(op: string, name: string, spec: Spec, shape: Shape): void {
  expect(
    sameShape(spec.shape, shape),
    () => `${op}: ${name} must be ${formatShape(shape)}, got ${formatShape(spec.shape)}`,
  );
}

/** y[i] = f(x[i]) */
const unary: KernelEntry<unknown> = {
  inputs: ['f32'],
  outputs: ([x]) => [x],
  flops: ([x]) => sizeOf(x.shape),
};

const binary = (op: string): KernelEntry<unknown> => ({
  inputs: ['f32', 'f32'],
  outputs: ([a, b]) => [f32(broadcastShapes(op, a.shape, b.shape))],
  flops: (_, [y]) => sizeOf(y.shape),
});

const reduction = (op: string): KernelEntry<{ axes: readonly number[] }> => ({
  inputs: ['f32'],
  outputs: ([x], { axes }) => {
    const reduced = new Set(normalizeAxes(op, axes, x.shape.length));
    return [f32(x.shape.map((d, i) => (reduced.has(i) ? 1 : d)))];
  },
  flops: ([x]) => sizeOf(x.shape),
});

/** softmax and logSoftmax: same shape, over the last axis. */
const rowwise = (op: string): KernelEntry<unknown> => ({
  inputs: ['f32'],
  outputs: ([x]) => {
    expect(x.shape.length >= 1, () => `${op}: needs at least one axis, got a scalar`);
    return [x];
  },
  flops: ([x]) => 5 * sizeOf(x.shape),
});

function attentionShapes(op: string, [q, k, v, lo, hi]: readonly Spec[], a: AttentionAttrs): { n: number; D: number } {
  expectRank(op, 'q', q, 2);
  expectRank(op, 'k', k, 2);
  const [n, width] = q.shape;
  expect(
    Number.isInteger(a.heads) && a.heads >= 1 && width % a.heads === 0,
    () => `${op}: width ${width} of q ${formatShape(q.shape)} is not a multiple of heads ${a.heads}`,
  );
  expect(
    Number.isInteger(a.kvHeads) && a.kvHeads >= 1 && a.heads % a.kvHeads === 0,
    () => `${op}: heads ${a.heads} is not a multiple of kvHeads ${a.kvHeads}`,
  );
  const D = width / a.heads;
  expectShape(op, `k (kvHeads ${a.kvHeads} x head dim ${D})`, k, [k.shape[0], a.kvHeads * D]);
  expectShape(op, 'v', v, k.shape);
  expectShape(op, 'lo', lo, [n]);
  expectShape(op, 'hi', hi, [n]);
  return { n, D };
}

function adamwShapes(op: string, [p, m, v]: readonly Spec[]): void {
  expectShape(op, 'first moment m', m, p.shape);
  expectShape(op, 'second moment v', v, p.shape);
}

export const contract: { readonly [K in KernelName]: KernelEntry<KernelAttrs[K]> } = {
  /** y = -x */
  neg: unary,
  /** y = e^x */
  exp: unary,
  /** y = ln x */
  log: unary,
  /** y = sqrt(x) */
  sqrt: unary,
  /** y = 1 / x */
  reciprocal: unary,
  /** y = sin x, x in radians */
  sin: unary,
  /** y = cos x, x in radians */
  cos: unary,
  /** y = tanh x */
  tanh: unary,
  /** y = 1 / (1 + e^-x) */
  sigmoid: unary,
  /** y = |x| */
  abs: unary,
  /** y = -1, 0 or 1 */
  sign: unary,
  /** y = scale * x + shift */
  affine: unary,
  /**
   * y[i] = 0 if hash32(seed, i) < rate * 2^32, else x[i] / (1 - rate). The mask is a function of (seed, i) alone: it is
   * never stored, the same on every backend and thread count, and the gradient is the same kernel with the same seed.
   */
  dropout: {
    inputs: ['f32'],
    outputs: ([x], { rate, seed }) => {
      expect(rate >= 0 && rate < 1, () => `dropout: rate must be in [0, 1), got ${rate}`);
      expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, () => `dropout: seed must be a u32, got ${seed}`);
      return [x];
    },
    flops: ([x]) => sizeOf(x.shape),
  },

  /** y = a + b, broadcasting */
  add: binary('add'),
  /** y = a - b, broadcasting */
  sub: binary('sub'),
  /** y = a * b, broadcasting */
  mul: binary('mul'),
  /** y = a / b, broadcasting */
  div: binary('div'),
  /** y = max(a, b), broadcasting; NaN if either is */
  maximum: binary('maximum'),
  /** y = min(a, b), broadcasting; NaN if either is */
  minimum: binary('minimum'),
  /** y = 1 if a > b else 0, broadcasting */
  greater: binary('greater'),
  /** y = 1 if a = b else 0, broadcasting */
  equal: binary('equal'),
  /** y = a where cond is not 0, else b, broadcasting all three */
  where: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([cond, a, b]) => [f32(broadcastShapes('where', cond.shape, broadcastShapes('where', a.shape, b.shape)))],
    flops: () => 0,
  },

  /** Sum over `axes`, which stay with size 1. An empty sum is 0. */
  sum: reduction('sum'),
  /** Largest over `axes`, which stay with size 1; NaN if any is. The maximum of nothing is -Infinity. */
  max: reduction('max'),
  /** y = sum of x^2 over everything, a scalar */
  sumSquares: { inputs: ['f32'], outputs: () => [f32([])], flops: ([x]) => 2 * sizeOf(x.shape) },

  /** The same elements in the same order under another shape; one size may be -1 before it gets here, never here. */
  reshape: {
    inputs: ['f32'],
    outputs: ([x], { shape }) => {
      checkShape(shape, 'reshape');
      expect(
        sizeOf(x.shape) === sizeOf(shape),
        () =>
          `reshape: ${formatShape(x.shape)} holds ${sizeOf(x.shape)} elements, ${formatShape(shape)} needs ${sizeOf(shape)}`,
      );
      return [{ dtype: x.dtype, shape }];
    },
    flops: () => 0,
    view: true,
  },
  /** Axis i of the result is axis perm[i] of x. */
  transpose: {
    inputs: ['f32'],
    outputs: ([x], { perm }) => {
      expect(
        perm.length === x.shape.length && [...perm].sort((a, b) => a - b).every((p, i) => p === i),
        () =>
          `transpose: perm [${perm.join(',')}] is not an order of the ${x.shape.length} axes of ${formatShape(x.shape)}`,
      );
      return [f32(perm.map((p) => x.shape[p]))];
    },
    flops: () => 0,
  },
  /** x repeated along axes of size 1 (and new leading axes) to `shape`. */
  broadcastTo: {
    inputs: ['f32'],
    outputs: ([x], { shape }) => {
      checkShape(shape, 'broadcastTo');
      expect(
        sameShape(broadcastShapes('broadcastTo', x.shape, shape), shape),
        () => `broadcastTo: ${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`,
      );
      return [f32(shape)];
    },
    flops: () => 0,
  },
  /** x[begin[0]:end[0], begin[1]:end[1], ...] */
  slice: {
    inputs: ['f32'],
    outputs: ([x], { begin, end }) => {
      expect(
        begin.length === x.shape.length && end.length === x.shape.length,
        () => `slice: ${begin.length} bounds for the ${x.shape.length} axes of ${formatShape(x.shape)}`,
      );
      x.shape.forEach((d, i) => {
        expect(
          Number.isInteger(begin[i]) && Number.isInteger(end[i]) && 0 <= begin[i] && begin[i] <= end[i] && end[i] <= d,
          () => `slice: bounds ${begin[i]}:${end[i]} leave axis ${i} of ${formatShape(x.shape)}, which has size ${d}`,
        );
      });
      return [f32(x.shape.map((_, i) => end[i] - begin[i]))];
    },
    flops: () => 0,
  },
  /** x surrounded by zeros: before[i] and after[i] of them on axis i. */
  pad: {
    inputs: ['f32'],
    outputs: ([x], { before, after }) => {
      expect(
        before.length === x.shape.length &&
          after.length === x.shape.length &&
          [...before, ...after].every((p) => Number.isInteger(p) && p >= 0),
        () => `pad: bounds [${before.join(',')}] and [${after.join(',')}] do not fit ${formatShape(x.shape)}`,
      );
      return [f32(x.shape.map((d, i) => before[i] + d + after[i]))];
    },
    flops: () => 0,
  },
  /** The inputs one after the other along `axis`. */
  concat: {
    inputs: ['...f32'],
    outputs: (ins, { axis }) => {
      const [first] = ins;
      expect(
        Number.isInteger(axis) && axis >= 0 && axis < first.shape.length,
        () => `concat: axis ${axis} is out of range for ${formatShape(first.shape)}`,
      );
      let total = 0;
      for (const x of ins) {
        expect(
          x.shape.length === first.shape.length && x.shape.every((d, i) => i === axis || d === first.shape[i]),
          () => `concat: ${formatShape(first.shape)} and ${formatShape(x.shape)} differ outside axis ${axis}`,
        );
        total += x.shape[axis];
      }
      return [f32(first.shape.map((d, i) => (i === axis ? total : d)))];
    },
    flops: () => 0,
  },

  /**
   * Matrix product over the last two axes: y[..,i,j] = sum_l a[..,i,l] * b[..,l,j]; transposeA reads a as [..,K,M],
   * transposeB reads b as [..,N,K]. Leading axes must be equal.
   */
  matmul: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b], { transposeA, transposeB }) => {
      expect(
        a.shape.length >= 2 && b.shape.length >= 2,
        () => `matmul: needs matrices, got a ${formatShape(a.shape)} and b ${formatShape(b.shape)}`,
      );
      const [m, ka] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
      const [kb, n] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
      const text = () =>
        `a ${formatShape(a.shape)}${transposeA ? '^T' : ''} x b ${formatShape(b.shape)}${transposeB ? '^T' : ''}`;
      expect(ka === kb, () => `matmul: inner sizes differ, ${text()}: ${ka} != ${kb}`);
      const lead = a.shape.slice(0, -2);
      expect(sameShape(lead, b.shape.slice(0, -2)), () => `matmul: leading axes differ, ${text()}`);
      return [f32([...lead, m, n])];
    },
    flops: ([a], [y], { transposeA }) => 2 * sizeOf(y.shape) * a.shape.at(transposeA ? -2 : -1)!,
  },

  /** table [V,C], ids [n] -> y [n,C], y[i] = table[ids[i]]. Ids must lie in 0..V-1 (the caller checks; see `checkIds`). */
  gatherRows: {
    inputs: ['f32', 'i32'],
    outputs: ([table, ids]) => {
      expectRank('gatherRows', 'table', table, 2);
      expectRank('gatherRows', 'ids', ids, 1);
      return [f32([ids.shape[0], table.shape[1]])];
    },
    flops: () => 0,
  },
  /** x [n,C], ids [n] -> y [rows,C], y[r] = sum of x[i] over the i with ids[i] = r, in rising i. */
  scatterAddRows: {
    inputs: ['f32', 'i32'],
    outputs: ([x, ids], { rows }) => {
      expectRank('scatterAddRows', 'x', x, 2);
      expectShape('scatterAddRows', 'ids', ids, [x.shape[0]]);
      checkShape([rows, x.shape[1]], 'scatterAddRows');
      return [f32([rows, x.shape[1]])];
    },
    flops: ([x]) => sizeOf(x.shape),
  },
  /** table [V,C], ids [n,G] -> y [n,C], y[i] = sum over g of table[ids[i,g]]; a negative id adds nothing (a dropped row). */
  embeddingBag: {
    inputs: ['f32', 'i32'],
    outputs: ([table, ids]) => {
      expectRank('embeddingBag', 'table', table, 2);
      expectRank('embeddingBag', 'ids', ids, 2);
      return [f32([ids.shape[0], table.shape[1]])];
    },
    flops: ([, ids], [y]) => ids.shape[1] * sizeOf(y.shape),
  },
  /**
   * x [n,C], entries [E], starts [U+1] -> y [U,C], y[u] = sum of x[entries[e]] over starts[u] <= e < starts[u+1].
   * The gradient of gathers, once the ids are sorted: every output row is computed by one reader, in one order.
   */
  segmentGatherSum: {
    inputs: ['f32', 'i32', 'i32'],
    outputs: ([x, entries, starts]) => {
      expectRank('segmentGatherSum', 'x', x, 2);
      expectRank('segmentGatherSum', 'entries', entries, 1);
      expect(
        starts.shape.length === 1 && starts.shape[0] >= 1,
        () => 'segmentGatherSum: starts needs at least one entry',
      );
      return [f32([starts.shape[0] - 1, x.shape[1]])];
    },
    flops: ([x, entries]) => entries.shape[0] * x.shape[1],
  },
  /** x [n,C], starts [P+1] -> y [P,C], y[p,c] = max of x[i,c] over starts[p] <= i < starts[p+1]; an empty segment gives 0. */
  segmentMax: {
    inputs: ['f32', 'i32'],
    outputs: ([x, starts]) => {
      expectRank('segmentMax', 'x', x, 2);
      expect(starts.shape.length === 1 && starts.shape[0] >= 1, () => 'segmentMax: starts needs at least one entry');
      return [f32([starts.shape[0] - 1, x.shape[1]])];
    },
    flops: ([x]) => sizeOf(x.shape),
  },
  /** x [n,C], y = segmentMax(x), g [P,C], starts -> dx [n,C]: g shared evenly by the elements equal to the maximum. */
  segmentMaxBackward: {
    inputs: ['f32', 'f32', 'f32', 'i32'],
    outputs: ([x, y, g]) => {
      expectShape('segmentMaxBackward', 'g', g, y.shape);
      return [x];
    },
    flops: ([x]) => 2 * sizeOf(x.shape),
  },
  /**
   * In place: table [V,C], ids [n] unique, x [n,C] -> table[ids[i]] = x[i]; other rows stay. For the key/value caches of decoding.
   * Ids must lie in 0..V-1 (the caller checks).
   */
  writeRows: {
    inputs: ['f32', 'i32', 'f32'],
    outputs: ([table, ids, x]) => {
      expectRank('writeRows', 'table', table, 2);
      expectRank('writeRows', 'ids', ids, 1);
      expectShape('writeRows', 'x', x, [ids.shape[0], table.shape[1]]);
      return [];
    },
    flops: () => 0,
    mutates: [0],
  },

  /** y = e^(x - max) / sum e^(x - max) over the last axis */
  softmax: rowwise('softmax'),
  /** y = x - max - ln sum e^(x - max) over the last axis */
  logSoftmax: rowwise('logSoftmax'),
  /** logits [n,V], targets [n] -> loss [n] in nats, loss[i] = ln sum_v e^logits[i,v] - logits[i,targets[i]] */
  crossEntropy: {
    inputs: ['f32', 'i32'],
    outputs: ([logits, targets]) => {
      expectRank('crossEntropy', 'logits', logits, 2);
      expectShape('crossEntropy', 'targets', targets, [logits.shape[0]]);
      return [f32([logits.shape[0]])];
    },
    flops: ([logits]) => 4 * sizeOf(logits.shape),
  },
  /** logits [n,V], targets [n], g [n] -> dlogits[i,v] = g[i] * (softmax(logits[i])[v] - [v = targets[i]]) */
  crossEntropyBackward: {
    inputs: ['f32', 'i32', 'f32'],
    outputs: ([logits, targets, g]) => {
      expectShape('crossEntropyBackward', 'g', g, targets.shape);
      return [logits];
    },
    flops: ([logits]) => 5 * sizeOf(logits.shape),
  },
  /** x [n,C], w [C] -> y = x * w / sqrt(mean_c x^2 + eps). Zhang & Sennrich 2019, eq. 4. */
  rmsNorm: {
    inputs: ['f32', 'f32'],
    outputs: ([x, w]) => {
      expect(x.shape.length >= 1, () => 'rmsNorm: x needs at least one axis');
      expectShape('rmsNorm', 'w', w, [x.shape.at(-1)!]);
      return [x];
    },
    flops: ([x]) => 4 * sizeOf(x.shape),
  },
  /**
   * x, w, g -> [dx, dw]. With r = 1/sqrt(mean x^2 + eps): dw = sum over rows of g x r;
   * dx = r (g w - x r^2 mean_c(g w x)).
   */
  rmsNormBackward: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([x, w, g]) => {
      expectShape('rmsNormBackward', 'g', g, x.shape);
      return [x, w];
    },
    flops: ([x]) => 9 * sizeOf(x.shape),
  },
  /**
   * Rotary position embedding on interleaved pairs: x [n, heads*D], cos and sin [maxPosition, D/2], positions [n].
   * Within each head, with (a, b) = (x[2j], x[2j+1]) and the angle of (positions[i], j):
   * (a cos - b sin, a sin + b cos); `inverse` turns the other way, which is also the gradient. Su et al. 2021, eq. 34.
   */
  rope: {
    inputs: ['f32', 'f32', 'f32', 'i32'],
    outputs: ([x, cos, sin, positions], { headDim }) => {
      expectRank('rope', 'x', x, 2);
      expect(
        headDim >= 2 && headDim % 2 === 0 && x.shape[1] % headDim === 0,
        () => `rope: head dim ${headDim} must be even and divide the width ${x.shape[1]}`,
      );
      expectShape('rope', 'cos', cos, [cos.shape[0], headDim / 2]);
      expectShape('rope', 'sin', sin, cos.shape);
      expectShape('rope', 'positions', positions, [x.shape[0]]);
      return [x];
    },
    flops: ([x]) => 3 * sizeOf(x.shape),
  },
  /** y = silu(a) * b, silu(a) = a / (1 + e^-a). Shazeer 2020, eq. 5. */
  swiGlu: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b]) => {
      expectShape('swiGlu', 'b', b, a.shape);
      return [a];
    },
    flops: ([a]) => 6 * sizeOf(a.shape),
  },
  /** a, b, g -> [da, db]: with s = sigmoid(a), da = g b s (1 + a (1 - s)), db = g a s. */
  swiGluBackward: {
    inputs: ['f32', 'f32', 'f32'],
    outputs: ([a, b, g]) => {
      expectShape('swiGluBackward', 'g', g, a.shape);
      return [a, b];
    },
    flops: ([a]) => 12 * sizeOf(a.shape),
  },
  /**
   * Attention where query row i sees the key rows lo[i] .. hi[i]-1 and nothing else (see docs/architecture.md, idea 1).
   * q [n, heads*D], k and v [m, kvHeads*D], lo and hi [n], both never decreasing -> [out [n, heads*D], lse [n, heads]].
   * Per head: s_j = scale q_i . k_j; out_i = sum_j softmax(s)_j v_j; lse_i = ln sum_j e^(s_j), kept for the backward pass.
   * An empty interval gives out = 0 and lse = 0. Vaswani et al. 2017, eq. 1.
   */
  intervalAttention: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'i32'],
    outputs: (ins, attrs) => {
      const { n } = attentionShapes('intervalAttention', ins, attrs);
      return [ins[0], f32([n, attrs.heads])];
    },
    flops: ([q], _, a) => 4 * a.pairs * q.shape[1],
  },
  /**
   * q, k, v, lo, hi, out, lse, g [n, heads*D] -> [dq, dk, dv]. Per head, with p_ij = e^(s_ij - lse_i) and
   * d_i = g_i . out_i: dv_j = sum_i p_ij g_i; ds_ij = p_ij (g_i . v_j - d_i); dq_i = scale sum_j ds_ij k_j;
   * dk_j = scale sum_i ds_ij q_i. The queries that see key j are an interval too, so nothing is scattered.
   */
  intervalAttentionBackward: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'i32', 'f32', 'f32', 'f32'],
    outputs: (ins, attrs) => {
      const { n } = attentionShapes('intervalAttentionBackward', ins, attrs);
      const [q, k, v, , , out, lse, g] = ins;
      expectShape('intervalAttentionBackward', 'out', out, q.shape);
      expectShape('intervalAttentionBackward', 'lse', lse, [n, attrs.heads]);
      expectShape('intervalAttentionBackward', 'g', g, q.shape);
      return [q, k, v];
    },
    flops: ([q], _, a) => 10 * a.pairs * q.shape[1],
  },

  /**
   * In place: p, m, v, g, gradScale [] (the clipping factor). With g' = gradScale g:
   * m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2;
   * p = p (1 - lr weightDecay) - lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps).
   * Loshchilov & Hutter 2019, algorithm 2.
   */
  adamw: {
    inputs: ['f32', 'f32', 'f32', 'f32', 'f32'],
    outputs: (ins) => {
      adamwShapes('adamw', ins);
      expectShape('adamw', 'gradient', ins[3], ins[0].shape);
      expectShape('adamw', 'gradScale', ins[4], []);
      return [];
    },
    flops: ([p]) => 14 * sizeOf(p.shape),
    mutates: [0, 1, 2],
  },
  /**
   * The update of `adamw`, in place, on the rows ids [U] (rising, unique) of p, m, v [V,C] alone: p, m, v, ids, g [U,C],
   * gradScale []. Cost follows the rows touched, never the table.
   */
  adamwRows: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'f32', 'f32'],
    outputs: (ins) => {
      adamwShapes('adamwRows', ins);
      const [p, , , ids, g, scale] = ins;
      expectRank('adamwRows', 'p', p, 2);
      expectRank('adamwRows', 'ids', ids, 1);
      expectShape('adamwRows', 'gradient rows', g, [ids.shape[0], p.shape[1]]);
      expectShape('adamwRows', 'gradScale', scale, []);
      return [];
    },
    flops: ([, , , , g]) => 14 * sizeOf(g.shape),
    mutates: [0, 1, 2],
  },
  /**
   * In place, on the rows ids [U] (rising, unique) of p, m, v [V,C]: what updates with zero gradients, missed since the rows were last
   * touched, would have done to them. p, m, v, ids, factors [U,4]:
   * p = p f0 - f3 m / sqrt(v) (nothing where v = 0); m = m f1; v = v f2. The optimiser computes the factors from the rates missed.
   */
  adamwCatchUp: {
    inputs: ['f32', 'f32', 'f32', 'i32', 'f32'],
    outputs: (ins) => {
      adamwShapes('adamwCatchUp', ins);
      const [p, , , ids, factors] = ins;
      expectRank('adamwCatchUp', 'p', p, 2);
      expectRank('adamwCatchUp', 'ids', ids, 1);
      expectShape('adamwCatchUp', 'factors', factors, [ids.shape[0], 4]);
      return [];
    },
    flops: ([p, , , ids]) => 7 * ids.shape[0] * p.shape[1],
    mutates: [0, 1, 2],
  },
  /** In place: a = a + weight (b - a). Exponential moving averages of weights. */
  lerp: {
    inputs: ['f32', 'f32'],
    outputs: ([a, b]) => {
      expectShape('lerp', 'b', b, a.shape);
      return [];
    },
    flops: ([a]) => 3 * sizeOf(a.shape),
    mutates: [0],
  },
};

/** @throws RangeError naming the first id outside 0..limit-1 */
export function checkIds(op: string, ids: Int32Array, limit: number, lowest = 0): void {
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] < lowest || ids[i] >= limit) {
      throw new RangeError(`${op}: id ${ids[i]} at position ${i} is outside ${lowest}..${limit - 1}`);
    }
  }
}
