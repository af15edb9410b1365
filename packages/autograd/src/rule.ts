import type { KernelAttrs, KernelName, Tensor } from '@blt-ts/tensor';
import type { RowSparse } from './row-sparse.ts';

/** The gradient of the result with respect to some tensor: dense, or only the rows of a table that were read. */
export type Cotangent = Tensor | RowSparse;

/**
 * The vector-Jacobian product of one kernel: from g = d result / d out, the same for each input (null where there is none).
 * Written with the public operations, so that it can itself be differentiated. Where g ends there, a kernel whose contract `aliases` it
 * does: it must be the last of the rule to read g.
 * `needs[i]` is false where nobody asks for input i: an expensive rule may return null there.
 */
export interface Rule<K extends KernelName> {
  (
    g: Tensor,
    out: readonly Tensor[],
    ins: readonly Tensor[],
    attrs: KernelAttrs[K],
    needs: readonly boolean[],
  ): (Cotangent | null)[];
  /** Whose values it reads (shapes are always there). Left out: all of them. */
  readonly reads?: Reads;
}

/** Values a rule reads: inputs by index, and the outputs or not. Others are freed when the scope they were made in ends. */
export interface Reads {
  readonly ins: readonly number[];
  readonly outs: boolean;
  /**
   * The result costs little beside the memory it takes: once much memory is in use (`spareFrom`), it is computed again where a
   * later rule reads it. For kernels whose own rule reads all inputs, so that they are there.
   */
  readonly cheap?: true;
}

/** A rule that reads only these values: for kernels on the hot path, where keeping less is memory saved. */
export const reading = <K extends KernelName>(reads: Reads, rule: Rule<K>): Rule<K> =>
  // biome-ignore lint/plugin: the parameters of a rule
  Object.assign((...args: Parameters<Rule<K>>) => rule(...args), { reads });

/** A rule that reads no values at all. */
export const readingNothing = <K extends KernelName>(rule: Rule<K>): Rule<K> => reading({ ins: [], outs: false }, rule);

export type Rules<K extends KernelName> = { readonly [P in K]: Rule<P> };

/** For backward kernels: they have no rule of their own, because the fused op has a composed form that does. */
export const onceOnly =
  (op: string, instead: string): (() => never) =>
  () => {
    throw new Error(`${op}: no second derivative of the fused kernel; build the function from ${instead} instead`);
  };
