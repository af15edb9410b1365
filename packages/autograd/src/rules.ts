/**
 * @file The gradient rule of every kernel, in one table. For y = f(a, b, ...), `vjp` gives (da, db, ...) from g, where da stands for
 * d result / d a and g for d result / d y: da[i] = sum over j of g[j] dy[j]/da[i], the vector-Jacobian product. Rules are written with
 * the public operations, so that they can be differentiated themselves.
 */
import { freeDonated, type KernelAttrs, type KernelName, type Tensor, tensor } from '@blt-ts/tensor';
import * as composed from './composed.ts';
import { cumsum, gather, scatterAdd } from './ops/axis.ts';
import {
  add,
  affine,
  cos,
  div,
  dropout,
  equal,
  exp,
  greater,
  mul,
  neg,
  sign,
  sin,
  sub,
  where,
} from './ops/elementwise.ts';
import { matmul } from './ops/matmul.ts';
import { mean, sum, unbroadcast } from './ops/reduce.ts';
import { rope } from './ops/rope.ts';
import { gatherRows, scatterAddRows } from './ops/rows.ts';
import { broadcastTo, pad, reshape, slice, transpose } from './ops/shape.ts';
import { type Cotangent, RowSparse } from './row-sparse.ts';
import { apply, applyAll, type Reads, type RuleMemory } from './tape.ts';

// ----- the form of a rule ---------------------------------------------------------------------------------------------

/** One call of a kernel as its rule sees it. */
export interface VjpContext<K extends KernelName> {
  readonly ins: readonly Tensor[];
  readonly outs: readonly Tensor[];
  readonly attrs: KernelAttrs[K];
  /** Whether somebody asks for the gradient of input i. An expensive rule may return null where it is false. */
  readonly needs: readonly boolean[];
}

/** The gradient rule of one kernel, and the values it reads. */
export interface Rule<K extends KernelName> extends RuleMemory {
  /**
   * One cotangent for each input, null where there is none. Where g ends here, a kernel whose contract `aliases` g writes over it: it
   * must be the last of the rule to read g.
   */
  readonly vjp: (g: Tensor, call: VjpContext<K>) => (Cotangent | null)[];
  /** If only the first of several outputs can be differentiated: the reason, for the error message. */
  readonly firstOutputOnly?: string;
  /** For the kernel that computes the gradients of a fused operation: that operation, which is differentiated twice instead of `vjp`. */
  readonly fused?: Fused<K>;
}

/** A fused operation as the kernel of its gradients sees it. The outputs of that kernel are the gradients for `variables`, in order. */
export interface Fused<K extends KernelName> {
  /** The operation out of primitive ones, from the inputs of the kernel. */
  readonly definition: (ins: readonly Tensor[], attrs: KernelAttrs[K]) => Tensor;
  /** Inputs of the kernel that the operation is differentiated for. */
  readonly variables: readonly number[];
  /** The input that is the cotangent of the operation's result. */
  readonly cotangent: number;
}

/** One rule for each kernel. A kernel without a rule does not compile. */
export type Rules = { readonly [K in KernelName]: Rule<K> };

const NOTHING: Reads = { ins: [], outs: false };
const RESULT: Reads = { ins: [], outs: true };
const FIRST: Reads = { ins: [0], outs: false };
const SECOND: Reads = { ins: [1], outs: false };
const BOTH: Reads = { ins: [0, 1], outs: false };

const refusing = (message: string) => ({
  reads: NOTHING,
  vjp: (): never => {
    throw new Error(message);
  },
});

/**
 * The rule of the kernel that computes the gradients of a fused operation. It is used for gradients of gradients alone, and differentiates
 * the definition of the operation. What it reads: the variables, the cotangent, and the integer inputs.
 */
const gradientOf = <K extends KernelName>(fused: Fused<K>, integers: readonly number[] = []): Rule<K> => ({
  reads: { ins: [...fused.variables, ...integers, fused.cotangent].sort((a, b) => a - b), outs: false },
  vjp: () => [],
  fused,
});

const inPlace = refusing('an in-place kernel has no gradient');

// ----- the table ------------------------------------------------------------------------------------------------------

const lastAxis = { axes: -1, keepDims: true };

/** The gradient rule of each kernel, by its name. */
// biome-ignore format: a table reads best aligned
export const rules: Rules = {
  // ----- elementwise: y[i] = f(x[i]), so dx[i] = g[i] f'(x[i]) -----
  neg:        { reads: NOTHING, vjp: (g) => [neg(g)] },
  exp:        { reads: RESULT,  vjp: (g, { outs: [y] }) => [mul(g, y)] },
  log:        { reads: FIRST,   vjp: (g, { ins: [x] }) => [div(g, x)] },
  sqrt:       { reads: RESULT,  vjp: (g, { outs: [y] }) => [div(affine(g, 0.5), y)] },
  reciprocal: { reads: RESULT,  vjp: (g, { outs: [y] }) => [neg(mul(g, mul(y, y)))] },
  sin:        { reads: FIRST,   vjp: (g, { ins: [x] }) => [mul(g, cos(x))] },
  cos:        { reads: FIRST,   vjp: (g, { ins: [x] }) => [neg(mul(g, sin(x)))] },
  tanh:       { reads: RESULT,  vjp: (g, { outs: [y] }) => [mul(g, affine(mul(y, y), -1, 1))] },        // 1 - y^2
  sigmoid:    { reads: RESULT,  vjp: (g, { outs: [y] }) => [mul(g, mul(y, affine(y, -1, 1)))] },        // y (1 - y)
  abs:        { reads: FIRST,   vjp: (g, { ins: [x] }) => [mul(g, sign(x))] },
  sign:       { reads: NOTHING, vjp: () => [null] },
  // e^-x^2 2 / sqrt(pi)
  erf:        { reads: FIRST,   vjp: (g, { ins: [x] }) => [mul(g, affine(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI)))] },
  affine:     { reads: NOTHING, vjp: (g, { attrs }) => [affine(g, attrs.scale)] },
  dropout:    { reads: NOTHING, vjp: (g, { attrs }) => [dropout(g, attrs.rate, attrs.seed)] },          // the same mask

  // Whole numbers have no gradient.
  toI32:      { reads: NOTHING, vjp: () => [null] },
  toF32:      { reads: NOTHING, vjp: () => [null] },

  // ----- elementwise with broadcasting: what was repeated is summed -----
  add:     { reads: NOTHING, vjp: (g, { ins: [a, b] }) => [unbroadcast(g, a.shape), unbroadcast(g, b.shape)] },
  sub:     { reads: NOTHING, vjp: (g, { ins: [a, b], needs }) => [unbroadcast(g, a.shape), needs[1] ? neg(unbroadcast(g, b.shape)) : null] },
  mul:     { reads: BOTH,    vjp: (g, { ins: [a, b], needs }) => [scaled(g, b, a, needs[0]), scaled(g, a, b, needs[1])] },
  // da = g / b, db = -g a / b^2 = -da y
  div:     { reads: { ins: [1], outs: true }, vjp: (g, { ins: [a, b], outs: [y], needs }) => {
    const da = div(g, b);
    return [unbroadcast(da, a.shape), needs[1] ? unbroadcast(neg(mul(da, y)), b.shape) : null];
  } },
  maximum: { reads: BOTH,    vjp: (g, { ins: [a, b], needs }) => [scaled(g, share(a, b), a, needs[0]), scaled(g, share(b, a), b, needs[1])] },
  minimum: { reads: BOTH,    vjp: (g, { ins: [a, b], needs }) => [scaled(g, share(b, a), a, needs[0]), scaled(g, share(a, b), b, needs[1])] },
  greater: { reads: NOTHING, vjp: () => [null, null] },
  equal:   { reads: NOTHING, vjp: () => [null, null] },
  notEqual: { reads: NOTHING, vjp: () => [null, null] },
  where:   { reads: FIRST,   vjp: (g, { ins: [c, a, b] }) => [null, unbroadcast(where(c, g, 0), a.shape), unbroadcast(where(c, 0, g), b.shape)] },

  // y = silu(a) b = a s b with s = sigmoid(a): da = g b (s + a s (1 - s)), db = g a s
  swiGlu:         { reads: BOTH, rematerializable: true, vjp: (g, { ins: [a, b] }) => applyAll('swiGluBackward', [a, b, g], {}) },
  swiGluBackward: gradientOf({ definition: ([a, b]) => composed.swiGlu(a, b), variables: [0, 1], cotangent: 2 }),

  // ----- reduce -----
  sum:        { reads: NOTHING, vjp: (g, { ins: [x] }) => [broadcastTo(g, x.shape)] },
  // The n elements that equal the maximum get g / n each.
  max:        { reads: { ins: [0], outs: true }, vjp: (g, { ins: [x], outs: [y], attrs: { axes } }) => {
    const winners = equal(x, y);
    return [mul(winners, div(g, sum(winners, { axes, keepDims: true })))];
  } },
  sumSquares: { reads: FIRST,   vjp: (g, { ins: [x] }) => [mul(affine(x, 2), g)] },
  // The mean depends on x too, but the deviations from it add up to 0.
  variance:   { reads: FIRST,   vjp: (g, { ins: [x], attrs: { correction } }) => [
    mul(affine(sub(x, mean(x, lastAxis)), 2 / Math.max(0, x.shape[x.rank - 1] - correction)), g)] },

  // ----- shape: each element goes back to where it came from -----
  reshape:     { reads: NOTHING, vjp: (g, { ins: [x] }) => [reshape(g, x.shape)] },
  transpose:   { reads: NOTHING, vjp: (g, { attrs: { perm } }) => [transpose(g, perm.map((_, i) => perm.indexOf(i)))] },
  broadcastTo: { reads: NOTHING, vjp: (g, { ins: [x] }) => [unbroadcast(g, x.shape)] },
  slice:       { reads: NOTHING, vjp: (g, { ins: [x], attrs: { begin, end } }) => [pad(g, begin, x.shape.map((d, i) => d - end[i]))] },
  pad:         { reads: NOTHING, vjp: (g, { ins: [x], attrs: { before } }) => [slice(g, before, x.shape.map((d, i) => before[i] + d))] },
  concat:      { reads: NOTHING, vjp: (g, { ins, attrs: { axis } }) => {
    let at = 0;
    return ins.map((x) => {
      const begin = x.shape.map((_, i) => (i === axis ? at : 0));
      at += x.shape[axis];
      return slice(g, begin, x.shape.map((d, i) => (i === axis ? at : d)));
    });
  } },

  // ----- along the last axis -----
  // y[j] = sum of x[i] over i <= j: dx[i] = sum of g[j] over j >= i
  cumsum:         { reads: NOTHING, vjp: (g, { attrs }) => [cumsum(g, { reverse: !attrs.reverse })] },
  argsort:        { reads: NOTHING, vjp: () => [null] },
  // y[j] = x[ids[j]]: dx[ids[j]] += g[j], and the reverse
  gatherAxis:     { reads: SECOND,  vjp: (g, { ins: [x, ids] }) => [scatterAdd(g, ids, x.shape[x.rank - 1]), null] },
  scatterAddAxis: { reads: SECOND,  vjp: (g, { ins: [, ids] }) => [gather(g, ids), null] },

  // ----- matmul -----
  // y = A B, where A is a or a^T and B is b or b^T: dA = g B^T, dB = A^T g
  matmul: { reads: BOTH, vjp: (g, { ins: [a, b], attrs: { transposeA, transposeB }, needs }) => {
    const db = !needs[1] ? null
      : transposeB ? matmul(g, a, { transposeA: true, transposeB: transposeA })
      : matmul(a, g, { transposeA: !transposeA });
    // a is often an activation that ends here. It is freed before da, which is as large, is made.
    if (a !== b) freeDonated(a);
    const da = !needs[0] ? null
      : transposeA ? matmul(b, g, { transposeA: transposeB, transposeB: true })
      : matmul(g, b, { transposeB: !transposeB });
    return [da, db];
  } },

  // ----- rows: a row that was read is added to on the way back, and the reverse -----
  // y[i] = table[ids[i]]: dtable[ids[i]] += g[i], as a sparse gradient where the table is the larger one
  gatherRows:         { reads: SECOND, vjp: (g, { ins: [table, ids] }) => [
    table.shape[0] > ids.size ? sparseRows(table, ids, 1, g) : scatterAddRows(g, ids, table.shape[0]), null] },
  // y[ids[i]] += x[i]: dx[i] = g[ids[i]]
  scatterAddRows:     { reads: SECOND, vjp: (g, { ins: [, ids] }) => [gatherRows(g, ids), null] },
  // y[i] = sum over j of table[ids[i,j]]: dtable[ids[i,j]] += g[i]
  embeddingBag:       { reads: SECOND, vjp: (g, { ins: [table, ids] }) => [sparseRows(table, ids, ids.shape[1], g), null] },
  // y[u] = sum of x[entries[e]] over the entries e of segment u: dx[entries[e]] += g[u]
  segmentGatherSum:   { reads: { ins: [1, 2], outs: false }, vjp: (g, { ins: [x, entries, starts] }) => {
    const { segments, read } = segmentsRead(entries, starts, g);
    return [scatterAddRows(gatherRows(g, segments), read, x.shape[0]), null, null];
  } },
  // y[u] = max of x[i] over segment u: the n largest get g[u] / n each
  segmentMax:         { reads: { ins: [0, 1], outs: true }, vjp: (g, { ins: [x, starts], outs: [y] }) => [
    apply('segmentMaxBackward', [x, y, g, starts], {}), null] },
  segmentMaxBackward: gradientOf({ definition: ([x, , , starts]) => composed.segmentMax(x, starts), variables: [0], cotangent: 2 }, [3]),

  // ----- softmax -----
  // y = e^x / sum e^x: dx = y (g - sum(g y))
  softmax:              { reads: RESULT, vjp: (g, { outs: [y] }) => {
    const gy = mul(g, y);
    return [sub(gy, mul(y, sum(gy, lastAxis)))];
  } },
  // y = x - ln sum e^x: dx = g - e^y sum(g)
  logSoftmax:           { reads: RESULT, vjp: (g, { outs: [y] }) => [sub(g, mul(exp(y), sum(g, lastAxis)))] },
  // y[i] = ln sum_v e^logits[i,v] - logits[i,t] with t = targets[i]: dlogits[i,v] = g[i] (softmax(logits[i])[v] - (v = t ? 1 : 0))
  crossEntropy:         { reads: BOTH, vjp: (g, { ins: [logits, targets] }) => [
    apply('crossEntropyBackward', [logits, targets, g], {}), null] },
  crossEntropyBackward: gradientOf({ definition: ([logits, targets]) => composed.crossEntropy(logits, targets), variables: [0], cotangent: 2 }, [1]),

  // ----- norm -----
  // y = x r w with r = 1 / sqrt(mean(x^2) + eps): dx = r (g w - x r^2 mean(g w x)), dw = sum over the rows of g x r
  rmsNorm:         { reads: BOTH, rematerializable: true, vjp: (g, { ins: [x, w], attrs }) => applyAll('rmsNormBackward', [x, w, g], attrs) },
  rmsNormBackward: gradientOf({ definition: ([x, w], { eps }) => composed.rmsNorm(x, w, eps), variables: [0, 1], cotangent: 2 }),

  // ----- rope -----
  // y = R x, a rotation of each pair: dx = R^T g, the rotation back
  rope: { reads: { ins: [1, 2, 3], outs: false }, vjp: (g, { ins: [, cos, sin, positions], attrs: { headDim, inverse }, needs }) => {
    if (needs[1] || needs[2]) {
      throw new Error('rope: cos and sin have no gradient; they are constants: make them outside, or hand over their stopGradient');
    }
    return [rope(g, { cos, sin }, positions, headDim, !inverse), null, null, null];
  } },

  // ----- attention -----
  // P = softmax(scale q k^T) within the intervals, out = P v. With dS = P (g v^T - rowsum(g out)):
  // dq = scale dS k, dk = scale dS^T q, dv = P^T g. P = e^(scale q k^T - lse) is made again, never kept.
  intervalAttention: {
    reads: { ins: [0, 1, 2, 3, 4], outs: true },
    firstOutputOnly: 'its log-sum-exp has no gradient; only its first output has',
    vjp: (g, { ins: [q, k, v, lo, hi], outs: [out, lse], attrs }) => [
      ...applyAll('intervalAttentionBackward', [q, k, v, lo, hi, out, lse, g], attrs), null, null],
  },
  intervalAttentionBackward: gradientOf({
    definition: ([q, k, v, lo, hi], { heads, kvHeads, scale }) => {
      // The definition fixes the scale at 1 / sqrt(D).
      const scaled = affine(q, scale * Math.sqrt(q.shape[1] / heads));
      return composed.intervalAttention(scaled, k, v, { lo, hi }, heads, kvHeads);
    },
    variables: [0, 1, 2], cotangent: 7,
  }, [3, 4]),

  // ----- in place: the optimizer, and caches -----
  adamw: inPlace, adamwRows: inPlace, adamwCatchUp: inPlace, lerp: inPlace, writeRows: inPlace,
};

// ----- parts of rules -------------------------------------------------------------------------------------------------

/** unbroadcast(g * factor), or null where nobody asks. */
function scaled(g: Tensor, factor: Tensor, like: Tensor, needed: boolean): Tensor | null {
  return needed ? unbroadcast(mul(g, factor), like.shape) : null;
}

/** 1 where `a` wins over `b`, one half where they are equal, 0 where it loses, NaN where one of them is. */
function share(a: Tensor, b: Tensor): Tensor {
  const [wins, ties] = [greater(a, b), equal(a, b)];
  // Exactly one of a > b, a = b and b > a is 1. With a NaN none is, and 0 / 0 is NaN.
  return div(add(wins, affine(ties, 0.5)), add(add(wins, greater(b, a)), ties));
}

const hostIds = (ids: Tensor): Int32Array => ids.readSync() as Int32Array;

/** The gradient of a table: row i of g belongs to the rows ids[i, 0..groups-1]. */
const sparseRows = (table: Tensor, ids: Tensor, groups: number, g: Tensor): RowSparse =>
  new RowSparse(table.shape, [{ ids: hostIds(ids), groups, rows: g }]);

/** The entries between the first start and the last, and the segment of each. Entries outside were not read. */
function segmentsRead(entries: Tensor, starts: Tensor, { backend }: Tensor): { segments: Tensor; read: Tensor } {
  const bounds = hostIds(starts);
  const [begin, end] = [bounds[0], bounds[bounds.length - 1]];
  const segments = new Int32Array(end - begin);
  let u = 0;
  for (let e = begin; e < end; e++) {
    // Segments may be empty.
    while (bounds[u + 1] <= e) u++;
    segments[e - begin] = u;
  }
  return {
    segments: tensor(segments, undefined, { backend }),
    read: tensor(hostIds(entries).subarray(begin, end), undefined, { backend }),
  };
}
