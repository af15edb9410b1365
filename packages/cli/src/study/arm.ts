/** @file The families of models as the study trains them: text to rows, rows to batches, batches to logits, and the FLOPs of a batch. */
import type { Dropout, ParameterPlan } from '@blt-ts/blt';
import type { Tensor } from '@blt-ts/tensor';
import type { StudyDocument } from './chunks.ts';

/** A row of a batch: ids and the ids that follow them. */
export interface StudyRow {
  readonly ids: Int32Array;
  readonly targets: Int32Array;
  /** Of the bytes, the next one included; 1 for each id where a model has no patches. */
  readonly patchLengths: Int32Array;
  /** Targets before this one are context. */
  readonly scoredFrom: number;
  /** Weight of each target's loss in training; 1 for all where there are none. */
  readonly weights?: Float32Array;
}

/** Forward FLOPs: matrix products and attention, a multiply-add is 2. */
export interface ForwardFlops {
  readonly model: number;
  /** Of the entropy model that cuts the patches; 0 without one. */
  readonly patcher: number;
}

/** A model of the study. P its parameters, B its batches. */
export interface Arm<P extends object = object, B = unknown> {
  readonly parameters: readonly ParameterPlan[];
  /** [vocabulary] bytes of text that each id stands for. */
  readonly byteLengths: Int32Array;
  /**
   * The chunks of a document (`chunkEnds`) as rows, in their order.
   * @param context whether each row has the chunk before in front, unscored
   */
  rows(document: StudyDocument, ends: readonly number[], context: boolean): StudyRow[];
  batch(rows: readonly StudyRow[]): B;
  /** [targets, vocabulary] */
  logits(params: P, batch: B, dropout?: Dropout): Tensor;
  /** Rows of big tables that a batch reads, by parameter. */
  reads(batch: B): ReadonlyMap<string, Int32Array>;
  flops(batch: B): ForwardFlops;
}

/** Heads of about 32 channels. */
export const headsOf = (width: number): number => {
  let heads = Math.max(1, Math.round(width / 32));
  while (width % heads !== 0 || (width / heads) % 2 !== 0) heads--;
  return heads;
};

/** Bytes of text among the targets that are scored. */
export function scoredBytes(row: StudyRow, byteLengths: Int32Array): number {
  let bytes = 0;
  for (let i = row.scoredFrom; i < row.targets.length; i++) bytes += byteLengths[row.targets[i]];
  return bytes;
}
