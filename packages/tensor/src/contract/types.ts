/** @file The names of all kernels by chapter, the attributes they take, and the form of an entry of the contract. */
import { type DType, formatShape, type Shape, ShapeError, sameShape } from '../shape.ts';

/** Type and shape of one input or output, without its values. */
export interface Spec {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** No attributes. Attributes are plain data (numbers, booleans, arrays of numbers), never tensors. */
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
  erf: None;
  affine: { scale: number; shift: number };
  dropout: { rate: number; seed: number };
  // elementwise, from one dtype to the other
  toI32: None;
  toF32: None;
  // elementwise, broadcasting
  add: None;
  sub: None;
  mul: None;
  div: None;
  maximum: None;
  minimum: None;
  greater: None;
  equal: None;
  notEqual: None;
  where: None;
  // elementwise, fused
  swiGlu: None;
  swiGluBackward: None;
  // reduce
  sum: { axes: readonly number[] };
  max: { axes: readonly number[] };
  sumSquares: None;
  variance: { correction: number };
  // shape
  reshape: { shape: Shape };
  transpose: { perm: readonly number[] };
  broadcastTo: { shape: Shape };
  slice: { begin: readonly number[]; end: readonly number[] };
  pad: { before: readonly number[]; after: readonly number[] };
  concat: { axis: number };
  // axis: the last one
  cumsum: { reverse: boolean };
  argsort: { descending: boolean; count: number };
  gatherAxis: None;
  scatterAddAxis: { size: number };
  // matmul
  matmul: { transposeA: boolean; transposeB: boolean };
  // rows
  gatherRows: None;
  scatterAddRows: { rows: number };
  embeddingBag: None;
  segmentGatherSum: None;
  segmentMax: None;
  segmentMaxBackward: None;
  writeRows: None; // in place
  // softmax
  softmax: None;
  logSoftmax: None;
  crossEntropy: None;
  crossEntropyBackward: None;
  // norm
  rmsNorm: { eps: number };
  rmsNormBackward: { eps: number };
  // rope
  rope: { headDim: number; inverse: boolean };
  // attention
  intervalAttention: AttentionAttrs;
  intervalAttentionBackward: AttentionAttrs;
  // optimizer, in place
  adamw: AdamWAttrs;
  adamwRows: AdamWAttrs;
  adamwCatchUp: None;
  lerp: { weight: number };
}

/** Attributes of interval attention, forward and backward. */
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

/** The numbers of one AdamW update, named as in its formula (contract/optimizer.ts). */
export interface AdamWAttrs {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 1 at the first update (bias correction) */
  step: number;
}

/** The name that `run` calls a kernel by. */
export type KernelName = keyof KernelAttrs;

/** Bounds of the whole numbers (ids, positions, starts) in one input. */
export interface IndexRange<Attrs> {
  readonly input: number;
  /** One of these numbers in the words of a message, such as "id" or "position". */
  readonly name: string;
  /** The smallest one allowed; 0 if left out. */
  readonly lowest?: number;
  /** One past the largest one allowed. */
  end(ins: readonly Spec[], attrs: Attrs): number;
  /** Least difference between a number and the one before it: 0 = never decreasing, 1 = rising. Left out: in any order. */
  readonly step?: 0 | 1;
}

/** The contract of one kernel. Its formula stands above the entry. */
export interface KernelEntry<Attrs> {
  /** Input dtypes, in order; `'...f32'` stands for one or more f32 inputs. */
  readonly inputs: readonly (DType | '...f32')[];
  /** Output shapes and dtypes from those of the inputs. @throws ShapeError */
  outputs(ins: readonly Spec[], attrs: Attrs): Spec[];
  /** Floating-point operations really executed (a multiply-add is 2). */
  flops(ins: readonly Spec[], outs: readonly Spec[], attrs: Attrs): number;
  /** Bounds of the whole numbers among the inputs. */
  readonly indices?: readonly IndexRange<Attrs>[];
  /** Output 0 holds whole numbers from 0 to one below this: known without looking, which a device would have to be asked for. */
  made?(ins: readonly Spec[], attrs: Attrs): number;
  /** Inputs overwritten in place, by index. */
  readonly mutates?: readonly number[];
  /**
   * Output i may reuse the memory of input `aliases[i]` when both have the same size and the input is donated (`donating`). Kernels
   * guarantee that element e of the input is read before element e of any output is written.
   */
  readonly aliases?: readonly number[];
  /** The output is input 0 under another shape: no data moves. */
  readonly view?: true;
}

/** Entries for some of the kernels: one chapter of the contract. */
export type Entries = { readonly [K in KernelName]?: KernelEntry<KernelAttrs[K]> };

/** An f32 input or output of this shape. */
export const f32 = (shape: Shape): Spec => ({ dtype: 'f32', shape });

/** @throws ShapeError with this message unless the condition holds */
export function expect(condition: boolean, message: () => string): void {
  if (!condition) throw new ShapeError(message());
}

/** @throws ShapeError unless the input has `rank` axes */
export function expectRank(op: string, name: string, spec: Spec, rank: number): void {
  expect(spec.shape.length === rank, () => `${op}: ${name} must have ${rank} axes, got ${formatShape(spec.shape)}`);
}

/** @throws ShapeError unless the input has this shape */
export function expectShape(op: string, name: string, spec: Spec, shape: Shape): void {
  expect(
    sameShape(spec.shape, shape),
    () => `${op}: ${name} must be ${formatShape(shape)}, got ${formatShape(spec.shape)}`,
  );
}
